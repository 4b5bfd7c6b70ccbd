//! Why no task can be made of a folder.

use std::io;
use std::path::PathBuf;

use serde_json::Value;
use thiserror::Error;
use vesal_bundle::name::NameError;
use vesal_cases::datalist::DatalistError;
use vesal_files::AtomicError;
use vesal_io::image::described_formats;

use crate::task::TaskError;

/// Why no task can be made of a folder.
#[derive(Debug, Error)]
pub enum LayoutError {
    #[error("cannot read the folder `{}`", path.display())]
    Folder { path: PathBuf, source: io::Error },
    #[error("`{}` is no folder", path.display())]
    NoFolder { path: PathBuf },
    #[error("it has more than {limit} files and folders")]
    TooMany { limit: usize },
    #[error("neither `{}` nor a folder below it has an image", path.display())]
    NoImages { path: PathBuf },
    /// Datasets lie below the folder.
    #[error("it holds datasets in {}, expected one dataset", quoted(folders))]
    SeveralDatasets { folders: Vec<String> },
    #[error("it has images in {}, which is no known layout", quoted(folders))]
    UnknownLayout { folders: Vec<String> },
    #[error("it has no image in `{folder}`")]
    EmptyFolder { folder: String },
    #[error("no image has a label map: {images} images and {labels} label maps share no names")]
    NoPairs { images: usize, labels: usize },
    #[error("case `{case}` has several label maps: {}", quoted(files))]
    SeveralLabels { case: String, files: Vec<String> },
    #[error(
        "case `{case}` has several files of channel `{channel}`: {}",
        quoted(files)
    )]
    SeveralImages {
        case: String,
        channel: String,
        files: Vec<String>,
    },
    #[error("there are several kinds of label maps: {}", quoted(kinds))]
    LabelKinds { kinds: Vec<String> },
    /// As many cases have some channels as have others.
    #[error("cases differ in their channels: {}", sets.join("; "))]
    ChannelSets {
        /// Channels, and how many cases have them.
        sets: Vec<String>,
    },
    #[error(
        "no case has the channels {}, found are {}",
        quoted(wanted),
        quoted(found)
    )]
    NoChannels {
        wanted: Vec<String>,
        found: Vec<String>,
    },
    #[error("nothing tells the modality of {}", quoted(channels))]
    Modality { channels: Vec<String> },
    #[error("its channels of {} are in one file, expected one file per channel", modalities.join(" and "))]
    MixedFile { modalities: Vec<String> },
    #[error("cannot read `{}`", path.display())]
    Json { path: PathBuf, source: io::Error },
    #[error("`{}` is larger than {limit} bytes", path.display())]
    Large { path: PathBuf, limit: u64 },
    #[error("`{}` is not JSON", path.display())]
    Syntax {
        path: PathBuf,
        source: serde_json::Error,
    },
    #[error("`{key}` of dataset.json is {found}, expected {expected}")]
    Value {
        key: String,
        found: String,
        expected: &'static str,
    },
    #[error("dataset.json does not state `{key}`")]
    Missing { key: &'static str },
    #[error("dataset.json states the ending `{found}`, which is no format that can be read")]
    Ending { found: String },
    #[error("`{path}` of dataset.json is outside of the dataset's folder")]
    Outside { path: String },
    #[error("label {value} is ignored in training (`ignore`), which a task cannot state")]
    Ignored { value: u16 },
    #[error("class `{name}` has label 0 besides others, which is background")]
    BackgroundInRegion { name: String },
    #[error("no label map has a label other than 0")]
    NoClasses,
    #[error("none of {found} label maps can be read; the first error: {first}")]
    NoReadableLabels { found: usize, first: String },
    #[error("there are {found} class names for {expected} classes: {labels}")]
    ClassNames {
        found: usize,
        expected: usize,
        /// Labels of the classes.
        labels: String,
    },
    #[error("`{name}` cannot be the name of the task")]
    Name { name: String, source: NameError },
    #[error("there is no path from `{}` to `{}`", from.display(), to.display())]
    NoPath { from: PathBuf, to: PathBuf },
    #[error("the task would not be usable")]
    Task { source: Box<TaskError> },
    #[error("the datalist would not be usable")]
    Datalist { source: DatalistError },
    #[error("cannot create the folder `{}`", path.display())]
    Output { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Write(#[from] AtomicError),
}

impl LayoutError {
    /// The error of a value of dataset.json, of which the first characters are shown.
    pub(super) fn value(key: &str, found: &Value, expected: &'static str) -> Self {
        const MOST: usize = 60;
        let text = found.to_string();
        let found = match text.char_indices().nth(MOST) {
            Some((cut, _)) => format!("{}…", &text[..cut]),
            None => text,
        };
        Self::Value {
            key: key.to_owned(),
            found,
            expected,
        }
    }

    /// A remedy for the user.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::NoImages { .. } => {
                return Some(format!(
                    "images are {}; `vesal convert` makes them of DICOM series",
                    described_formats()
                ));
            }
            Self::SeveralDatasets { folders } => {
                let first = folders.first()?;
                return Some(format!("name the folder of one of them, such as `{first}`"));
            }
            Self::UnknownLayout { .. } => {
                "put images into `images` and label maps into `labels`, or name both: --images-dir DIR --labels-dir DIR"
            }
            Self::NoPairs { .. } => {
                "image and label map of a case share a name, as in `images/a.nii.gz` and `labels/a.nii.gz`, or \
                 `a_image.nii.gz` and `a_label.nii.gz`; `--labels PATTERN` tells which files are label maps"
            }
            Self::SeveralLabels { .. } | Self::LabelKinds { .. } => {
                "tell which files are label maps, as in --labels '*_seg.nii.gz'; one label map holds all classes"
            }
            Self::SeveralImages { .. } => "keep one of them in the folder",
            Self::ChannelSets { .. } | Self::NoChannels { .. } => {
                "name the channels to take, as in --channels t1,flair; cases that lack one are left out"
            }
            Self::Modality { .. } => "pass --modality ct, mri or pet",
            Self::MixedFile { .. } => {
                "split the files, or pass --modality to treat all channels as one modality"
            }
            Self::Ending { .. } => "convert the images, for example to NIfTI",
            Self::Ignored { .. } => {
                "pass --ignored-as-background to train these voxels as background, or leave such cases out"
            }
            Self::NoClasses | Self::NoReadableLabels { .. } => {
                "`--labels PATTERN` tells which files are label maps"
            }
            Self::ClassNames { .. } => {
                "pass one name for each class, as in --class-names liver,tumor"
            }
            Self::Name { .. } => "pass --name NAME",
            Self::NoPath { .. } => "choose an --output on the same drive",
            Self::Task { source } => return source.hint().map(str::to_owned),
            Self::Datalist { source } => source.hint()?,
            Self::Write(error) => error.hint()?,
            _ => return None,
        };
        Some(text.to_owned())
    }

    /// Whether the results cannot be written.
    pub fn is_output(&self) -> bool {
        matches!(self, Self::Output { .. } | Self::Write(_))
    }
}

/// The first entries of a list.
fn quoted(entries: &[String]) -> String {
    const MOST: usize = 6;
    let shown: Vec<String> = entries
        .iter()
        .take(MOST)
        .map(|entry| format!("`{entry}`"))
        .collect();
    match entries.len().saturating_sub(MOST) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
