//! Why DICOM files are not converted.

use std::path::PathBuf;

use vesal_cli::{Exit, shown};
use vesal_io::dicom::StructureError;

use super::choice::StructureChoice;

/// Why DICOM files are not converted.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    /// The inputs contain no slices.
    #[error("none of the files is a slice of CT, MR, PET or 3D X-ray that can be read")]
    NoSeries,
    /// A series of which no file can be used.
    #[error("none of its {files} files can be used, the first of them is `{}`", first.display())]
    Unread { files: usize, first: PathBuf },
    /// The output folder is not below that of the datalist.
    #[error(
        "the folder of the datalist `{}` does not hold the output folder `{}`",
        datalist.display(),
        output.display()
    )]
    DatalistFolder { datalist: PathBuf, output: PathBuf },
    /// A structure set of another patient than its images.
    #[error(
        "structure set `{}` names another patient than series {series}, on which it was drawn",
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
    /// Labels for a resampled volume, whose slices differ from those that were drawn on.
    #[error("contours lie in the scanner's slices, and the volume is interpolated between these")]
    Resampled,
    /// No structure has a requested name.
    #[error(
        "no structure matches {}; there are {}",
        quoted(patterns),
        quoted(names)
    )]
    NoMatch {
        patterns: Vec<String>,
        names: Vec<String>,
    },
    /// A structure in another frame of reference.
    #[error(
        "structure {number} of `{}` lies in another frame of reference than the series",
        set.display()
    )]
    Elsewhere { set: PathBuf, number: i64 },
    /// A structure whose contours are not a mask.
    #[error("structure {number} of `{}`: {reason}", set.display())]
    Structure {
        set: PathBuf,
        number: i64,
        reason: StructureError,
    },
    /// A run in which not everything was converted.
    #[error("not everything was converted: {}", what.join(", "))]
    Incomplete { what: Vec<String> },
}

/// Formats texts for a message.
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

    /// A remedy for the user.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoSeries | Self::Unread { .. } => {
                Some("`vesal inspect PATH` lists every file with its kind")
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
