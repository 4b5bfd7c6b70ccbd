//! Results of a search for cases: each case, or the reason why a path is none.

use std::io;
use std::path::{Path, PathBuf};

use vesal_io::dicom::Stack;
use vesal_io::image::{case_name, format_names};

use crate::names::list;
use crate::series::error::SeriesError;

/// Result of a search for cases.
#[derive(Debug, Default)]
pub struct Found {
    /// The cases, in the order of the paths.
    pub candidates: Vec<Candidate>,
    /// Files that are part of no case, with reasons.
    pub notes: Vec<String>,
}

/// A requested case, or the reason why there is none.
#[derive(Debug)]
pub struct Candidate {
    /// Name from which its outputs are named.
    pub name: String,
    /// The files or series that it is read from.
    pub input: Result<CaseInput, FindError>,
}

/// The files or series of a case, in the order of the channels.
#[derive(Debug)]
pub enum CaseInput {
    /// An image file for each channel.
    Files(Vec<PathBuf>),
    /// DICOM slices for each channel.
    Stacks(Vec<Stack>),
}

/// Why a path is not a case.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// The path does not exist or may not be read.
    #[error("cannot read `{}`: {reason}", path.display())]
    Unreadable { path: PathBuf, reason: io::Error },
    /// A path without a name, such as `..` or `.nii.gz`.
    #[error("`{}` has no name from which its output could be named", path.display())]
    NoName { path: PathBuf },
    /// DICOM files from which no case can be made.
    #[error(transparent)]
    Series(#[from] SeriesError),
    /// A folder that holds both image files and DICOM.
    #[error("folder `{}` holds {} and DICOM files, expected one of them", path.display(), format_names())]
    Both { path: PathBuf },
    /// A folder without images.
    #[error("folder `{}` has no {} files, and no DICOM files in it or below", path.display(), format_names())]
    NoImages { path: PathBuf },
    /// One file, where a folder with a file per channel is needed.
    #[error("`{}` is one file, the bundle expects {} channels: {}", path.display(), channels.len(), list(channels))]
    OneFile {
        path: PathBuf,
        /// Names of the bundle's channels.
        channels: Vec<String>,
    },
    /// No file of the folder is named after a channel.
    #[error("no {} file in `{}` is named after a channel of the bundle: {}", format_names(), path.display(), list(channels))]
    NoChannels {
        path: PathBuf,
        /// Names of the bundle's channels.
        channels: Vec<String>,
    },
    /// A case without one of the channels.
    #[error("channel `{channel}` is absent, expected `{}`", expected.display())]
    MissingChannel {
        channel: String,
        /// The file that was looked for.
        expected: PathBuf,
    },
    /// A case of a datalist with too few or too many images.
    #[error("the datalist gives {found} images under `image`, the bundle expects {}: {}", channels.len(), list(channels))]
    ListedImages {
        /// How many there are.
        found: usize,
        /// Names of the channels on the first grid.
        channels: Vec<String>,
    },
    /// A case of a datalist without one of the further images.
    #[error("the datalist gives no image under `{channel}`, which the bundle expects")]
    NotListed { channel: String },
    /// Two files for one channel, such as `a_t1.nii` and `a_t1.nii.gz`.
    #[error("channel `{channel}` has two files, `{}` and `{}`", first.display(), second.display())]
    TwoFiles {
        channel: String,
        first: PathBuf,
        second: PathBuf,
    },
}

impl FindError {
    /// A remedy for the user.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::OneFile { channels, .. } | Self::NoChannels { channels, .. } => {
                let names: Vec<_> = channels
                    .iter()
                    .map(|name| format!("`CASE_{name}.nii.gz`"))
                    .collect();
                Some(format!(
                    "put the files of a case into a folder as {} and give the folder",
                    names.join(", ")
                ))
            }
            Self::NoImages { .. } => Some(format!(
                "subfolders are not searched for {} files: give the folder that holds them",
                format_names()
            )),
            Self::Both { .. } => Some(format!(
                "give the {} files one by one, or move them out of the way of the DICOM files",
                format_names()
            )),
            Self::TwoFiles { .. } => Some("remove one of them".into()),
            Self::Series(error) => error.hint(),
            _ => None,
        }
    }
}

impl Candidate {
    /// The error of a path that is not a case.
    pub(crate) fn failed(path: &Path, error: FindError) -> Self {
        Self {
            name: case_name(path).unwrap_or_else(|| path.display().to_string()),
            input: Err(error),
        }
    }
}
