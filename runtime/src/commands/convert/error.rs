//! Why something is not converted.

use std::path::PathBuf;

use vesal_cli::{Exit, Failure, shown};
use vesal_io::dicom::StructureError;

use super::StructureChoice;

/// Why something is not converted.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    /// Nothing to convert.
    #[error("none of the files is a slice of CT, MR, PET or 3D X-ray that can be read")]
    NoSeries,
    /// A series of which no file can be used.
    #[error("none of its {files} files can be used, the first of them is `{}`", first.display())]
    Unread {
        /// How many files it has.
        files: usize,
        /// The first of them.
        first: PathBuf,
    },
    /// The outputs are not below the datalist.
    #[error(
        "the folder of the datalist `{}` does not hold the output folder `{}`",
        datalist.display(),
        output.display()
    )]
    DatalistFolder {
        /// The datalist.
        datalist: PathBuf,
        /// The output folder.
        output: PathBuf,
    },
    /// A structure set of another patient than the images that it says it was drawn on.
    #[error(
        "structure set `{}` names another patient than series {series}, on which it says it was drawn",
        set.display()
    )]
    OtherPatient {
        /// The structure set.
        set: PathBuf,
        /// UID of the series.
        series: String,
    },
    /// A structure set that may belong to several series.
    #[error(
        "structure set `{}` names no series, and {stacks} lie in its frame of reference",
        set.display()
    )]
    Ambiguous {
        /// The structure set.
        set: PathBuf,
        /// Stacks in its frame of reference.
        stacks: usize,
    },
    /// Labels for a volume whose slices are not those that were drawn on.
    #[error("contours lie in the scanner's slices, and the volume is interpolated between these")]
    Resampled,
    /// No structure has a name that was asked for.
    #[error(
        "no structure matches {}; there are {}",
        quoted(patterns),
        quoted(names)
    )]
    NoMatch {
        /// What was asked for.
        patterns: Vec<String>,
        /// Names of the structures.
        names: Vec<String>,
    },
    /// A structure that was drawn elsewhere.
    #[error(
        "structure {number} of `{}` lies in another frame of reference than the series",
        set.display()
    )]
    Elsewhere {
        /// The structure set.
        set: PathBuf,
        /// Number of the structure.
        number: i64,
    },
    /// A structure that makes no mask.
    #[error("structure {number} of `{}`: {reason}", set.display())]
    Structure {
        /// The structure set.
        set: PathBuf,
        /// Number of the structure.
        number: i64,
        /// Why.
        reason: StructureError,
    },
    /// The end of a run in which not all went well.
    #[error("not all was converted: {}", what.join(", "))]
    Incomplete {
        /// Series and structure sets.
        what: Vec<String>,
    },
}

/// Texts as a message shows them.
fn quoted(texts: &[String]) -> String {
    let quoted = texts.iter().map(|text| format!("`{}`", shown(text)));
    match texts {
        [] => "none".to_owned(),
        _ => quoted.collect::<Vec<_>>().join(", "),
    }
}

impl ConvertError {
    /// No match among names.
    pub fn no_match(choices: &[StructureChoice], mut names: Vec<String>) -> Self {
        names.sort();
        names.dedup();
        Self::NoMatch {
            patterns: choices
                .iter()
                .map(|choice| choice.pattern.clone())
                .collect(),
            names,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NoSeries | Self::Unread { .. } => "`vesal inspect PATH` says what each file is",
            Self::DatalistFolder { .. } => {
                "put the datalist into the output folder or one above it: paths in it start there"
            }
            Self::Ambiguous { .. } => {
                "give `--input` only the series that it was drawn on, and the structure set"
            }
            Self::OtherPatient { .. } => {
                "give only the files of one patient; if the patient's name or ID was corrected, export images and structure set again"
            }
            Self::Resampled => "export the series whole again, or leave out `--structures`",
            Self::NoMatch { .. } => "choose among these names; `*` stands for any text",
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

impl From<ConvertError> for Failure {
    fn from(error: ConvertError) -> Self {
        let exit = match &error {
            ConvertError::DatalistFolder { .. } => Exit::Usage,
            ConvertError::Incomplete { .. } => Exit::FailedCases,
            _ => Exit::Input,
        };
        let hint = error.hint();
        Failure::new(exit, error).hint(hint)
    }
}
