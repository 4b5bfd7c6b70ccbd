//! Why something is not converted.

use std::path::PathBuf;

use vesal_cli::{Exit, shown};
use vesal_io::dicom::StructureError;

use super::choice::StructureChoice;

/// Why something is not converted.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    /// The inputs hold no slices.
    #[error("none of the files is a slice of CT, MR, PET or 3D X-ray that can be read")]
    NoSeries,
    /// A series of which no file can be used.
    #[error("none of its {files} files can be used, the first of them is `{}`", first.display())]
    Unread { files: usize, first: PathBuf },
    /// The outputs are not below the datalist.
    #[error(
        "the folder of the datalist `{}` does not hold the output folder `{}`",
        datalist.display(),
        output.display()
    )]
    DatalistFolder { datalist: PathBuf, output: PathBuf },
    /// A structure set of another patient than the images that it says it was drawn on.
    #[error(
        "structure set `{}` names another patient than series {series}, on which it says it was drawn",
        set.display()
    )]
    OtherPatient { set: PathBuf, series: String },
    /// A structure set that may belong to several series.
    #[error(
        "structure set `{}` names no series, and {stacks} lie in its frame of reference",
        set.display()
    )]
    Ambiguous {
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
        patterns: Vec<String>,
        names: Vec<String>,
    },
    /// A structure that was drawn elsewhere.
    #[error(
        "structure {number} of `{}` lies in another frame of reference than the series",
        set.display()
    )]
    Elsewhere { set: PathBuf, number: i64 },
    /// A structure that makes no mask.
    #[error("structure {number} of `{}`: {reason}", set.display())]
    Structure {
        set: PathBuf,
        number: i64,
        reason: StructureError,
    },
    /// The end of a run in which not all went well.
    #[error("not all was converted: {}", what.join(", "))]
    Incomplete { what: Vec<String> },
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
    /// None of the names matches a pattern.
    pub(super) fn no_match(choices: &[StructureChoice], mut names: Vec<String>) -> Self {
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

    /// What the reader can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoSeries | Self::Unread { .. } => {
                Some("`vesal inspect PATH` says what each file is")
            }
            Self::DatalistFolder { .. } => Some(
                "put the datalist into the output folder or one above it: paths in it start there",
            ),
            Self::Ambiguous { .. } => {
                Some("give `--input` only the series that it was drawn on, and the structure set")
            }
            Self::OtherPatient { .. } => Some(
                "give only the files of one patient; if the patient's name or ID was corrected, export images and structure set again",
            ),
            Self::Resampled => Some("export the series whole again, or leave out `--structures`"),
            Self::NoMatch { .. } => Some("choose among these names; `*` stands for any text"),
            Self::Elsewhere { .. } | Self::Structure { .. } | Self::Incomplete { .. } => None,
        }
    }

    pub fn exit(&self) -> Exit {
        match self {
            Self::DatalistFolder { .. } => Exit::Usage,
            Self::Incomplete { .. } => Exit::FailedCases,
            _ => Exit::Input,
        }
    }
}
