//! Why a work directory cannot be used.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use thiserror::Error;
use vesal_cases::datalist::DatalistError;
use vesal_files::{AtomicError, DocumentError};

use crate::algorithms::UnknownAlgorithm;
use crate::analyze::AnalyzeError;
use crate::folds::FoldError;
use crate::planner::PlannerError;
use crate::settings::OverrideError;
use crate::task::TaskError;
use crate::yaml::YamlReadError;

/// Why a stage cannot be done.
#[derive(Debug, Error)]
pub enum WorkError {
    /// The task cannot be used.
    #[error("cannot use the task `{}`", path.display())]
    Task {
        /// The file.
        path: PathBuf,
        /// The rule.
        source: TaskError,
    },
    /// A setting cannot be used.
    #[error(transparent)]
    Setting(#[from] OverrideError),
    /// The datalist cannot be used.
    #[error("cannot use the datalist `{}`", path.display())]
    Datalist {
        /// The file.
        path: PathBuf,
        /// The rule.
        source: DatalistError,
    },
    /// The cases cannot be divided into folds.
    #[error(transparent)]
    Folds(#[from] FoldError),
    /// The directory was never set up.
    #[error("`{}` is no work directory: it has no `work.json`", path.display())]
    NotSetUp {
        /// The directory.
        path: PathBuf,
    },
    /// The data are elsewhere.
    #[error("the data root `{}` is not there", path.display())]
    NoDataroot {
        /// The folder.
        path: PathBuf,
    },
    /// The system refuses a file.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error(transparent)]
    Write(#[from] AtomicError),
    /// The directory cannot be made.
    #[error("cannot make the directory `{}`", path.display())]
    MakeDirectory {
        /// The directory.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
    /// A file of the work directory cannot be read or does not follow its format.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The data stats do not follow their format.
    #[error("`{}` does not follow its format", path.display())]
    Yaml {
        /// The file.
        path: PathBuf,
        /// Where and what.
        source: YamlReadError,
    },
    /// The analysis fails.
    #[error(transparent)]
    Analyze(#[from] AnalyzeError),
    /// The data stats are about images alone.
    #[error("the cases have no label maps, expected one for each case to plan and train")]
    NoLabels,
    /// The planning fails.
    #[error(transparent)]
    Plan(#[from] PlannerError),
    /// A name that no algorithm has.
    #[error(transparent)]
    Algorithm(#[from] UnknownAlgorithm),
    /// No algorithm that was named is for the cases.
    #[error("no algorithm is left: {}", reasons(.0))]
    Skipped(BTreeMap<String, String>),
    /// A file of before cannot be removed.
    #[error("cannot remove `{}`", path.display())]
    Remove { path: PathBuf, source: io::Error },
    /// A stage that has to come first was not done.
    #[error("there is no `{missing}` in the work directory")]
    StageMissing {
        /// The file that the stage writes.
        missing: String,
        /// The command that writes it.
        command: &'static str,
    },
    /// A file changed after another was made from it.
    #[error("`{file}` is not what it was when the plan was made")]
    Changed {
        /// The file.
        file: String,
    },
    /// A fold that is not to be trained.
    #[error("fold {found} is not among the folds to train, which are {folds:?}")]
    NoSuchFold {
        /// The fold.
        found: usize,
        /// Folds to train.
        folds: Vec<usize>,
    },
}

/// What kind of thing a [`WorkError`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The command line.
    Usage,
    /// Tasks, datalists, images.
    Input,
    /// Plans and records.
    Plan,
    /// Files to write.
    Output,
}

impl WorkError {
    /// What kind of thing is at fault.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Setting(_)
            | Self::Algorithm(_)
            | Self::Skipped(_)
            | Self::NoSuchFold { .. }
            | Self::StageMissing { .. }
            | Self::NotSetUp { .. } => Fault::Usage,
            Self::Task { .. }
            | Self::Datalist { .. }
            | Self::Folds(_)
            | Self::NoDataroot { .. }
            | Self::Read { .. }
            | Self::Document(DocumentError::Read { .. })
            | Self::NoLabels
            | Self::Analyze(_) => Fault::Input,
            Self::Document(DocumentError::Write(_)) => Fault::Output,
            Self::Document(_) | Self::Yaml { .. } | Self::Plan(_) | Self::Changed { .. } => {
                Fault::Plan
            }
            Self::Write(_) | Self::MakeDirectory { .. } | Self::Remove { .. } => Fault::Output,
        }
    }

    /// What the reader can do about it.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Task { source, .. } => source.hint(),
            Self::Datalist { source, .. } => source.hint(),
            Self::Folds(error) => error.hint(),
            Self::Plan(error) => error.hint(),
            Self::Write(error) => error.hint(),
            Self::Skipped(_) => Some(
                "name others with `--algorithms`, or plan all the same with `--set allow_skip=false`",
            ),
            Self::NotSetUp { .. } => Some("`--input task.yaml` sets it up"),
            Self::NoDataroot { .. } => {
                Some("tell where the data are with `--dataroot DIR` or VESAL_DATAROOT")
            }
            Self::StageMissing { command, .. } => {
                return Some(format!("run `{command} --work-dir DIR` first"));
            }
            Self::Analyze(_) => {
                Some("`findings.json` in the work directory tells what is wrong with each case")
            }
            Self::NoLabels => Some(
                "add \"label\" to the cases of the datalist, then run `vesal-train analyze --input task.yaml` again",
            ),
            Self::Changed { .. } => Some(
                "run `vesal-train plan --work-dir DIR` to plan again; change decisions with `--set NAME=VALUE`, not in the files",
            ),
            Self::Document(DocumentError::Version { .. }) => {
                Some("another version of Vesal wrote it: start with a new work directory")
            }
            Self::Document(DocumentError::Write(error)) => error.hint(),
            Self::Document(DocumentError::Read { .. }) => None,
            Self::Document(_) | Self::Yaml { .. } => {
                Some("remove it and run the stage that writes it again")
            }
            _ => None,
        };
        text.map(str::to_owned)
    }
}

/// `a is skipped, because …; b is skipped, because …`.
fn reasons(skipped: &BTreeMap<String, String>) -> String {
    let each: Vec<_> = skipped
        .iter()
        .map(|(name, reason)| format!("{name} is skipped, because {reason}"))
        .collect();
    each.join("; ")
}
