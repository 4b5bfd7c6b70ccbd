//! What a user should know about how a task was read.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;

use vesal_bundle::deploy_plan::Modality;

use super::classes::ClassError;
use super::foreign::UnusedKey;

/// Something that was filled in, or that has no effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskRemark {
    /// Keys of the task without effect.
    UnusedKeys(Vec<UnusedKey>),
    /// Keys of the datalist that nothing reads.
    UnusedDatalistKeys(Vec<String>),
    /// `labels` of the datalist names no labels, and the task names none either.
    UnusedLabels {
        /// Why, where its form is right.
        reason: Option<ClassError>,
    },
    /// The task has no name.
    Named { name: String },
    /// The task has no modality, and the datalist has one.
    Modality(Modality),
    /// The task has no class names, and the datalist has some.
    Classes { names: Vec<String> },
    /// The datalist is beside the task, not where the task says.
    DatalistBeside { written: String, found: PathBuf },
    /// No folder of data is named.
    DatarootOfDatalist { folder: PathBuf },
}

impl TaskRemark {
    /// Whether something of the user's has no effect.
    pub fn is_warning(&self) -> bool {
        matches!(
            self,
            Self::UnusedKeys(_) | Self::UnusedDatalistKeys(_) | Self::UnusedLabels { .. }
        )
    }
}

impl fmt::Display for TaskRemark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnusedKeys(keys) => {
                f.write_str("keys of the task that have no effect here: ")?;
                let mut reasons: Vec<&str> = keys.iter().map(|unused| unused.reason).collect();
                reasons.sort_unstable();
                reasons.dedup();
                let of_reason = |reason: &str| {
                    let same = keys.iter().filter(|unused| unused.reason == reason);
                    let names = same.map(|unused| unused.key.to_owned()).collect::<Vec<_>>();
                    format!("{} ({reason})", quoted(&names))
                };
                let parts: Vec<_> = reasons.into_iter().map(of_reason).collect();
                f.write_str(&parts.join("; "))
            }
            Self::UnusedDatalistKeys(keys) => {
                write!(
                    f,
                    "keys of the datalist that nothing reads: {}",
                    quoted(keys)
                )
            }
            Self::UnusedLabels { reason } => {
                f.write_str("`labels` of the datalist is not used: ")?;
                match reason {
                    Some(error) => {
                        write!(f, "{error}")?;
                        error
                            .source()
                            .map_or(Ok(()), |cause| write!(f, ": {cause}"))
                    }
                    None => f.write_str("expected names by value, such as {\"1\": \"liver\"}"),
                }
            }
            Self::Named { name } => write!(f, "the task has no `name` and is called `{name}`"),
            Self::Modality(modality) => {
                let name = format!("{modality:?}").to_uppercase();
                write!(
                    f,
                    "the modality is {name}, as the datalist says under `modality`"
                )
            }
            Self::Classes { names } => write!(
                f,
                "the classes are {}, as the datalist says under `labels`",
                names.join(", ")
            ),
            Self::DatalistBeside { written, found } => write!(
                f,
                "there is no `{written}`: the datalist is `{}`, which has the same name",
                found.display()
            ),
            Self::DatarootOfDatalist { folder } => write!(
                f,
                "the task has no `dataroot`: the paths of the datalist start from its folder `{}`",
                folder.display()
            ),
        }
    }
}

fn quoted(names: &[String]) -> String {
    let quoted: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}
