//! The files that are part of no stack, and why.

use std::io;
use std::path::PathBuf;

use crate::dicom::class;
use crate::dicom::error::DicomHeaderError;
use crate::dicom::image_header::StatedSeries;

/// A file that is part of no stack.
#[derive(Debug)]
pub struct Skipped {
    pub path: PathBuf,
    pub reason: SkipReason,
}

/// Why a file is part of no stack.
#[derive(Debug, thiserror::Error)]
pub enum SkipReason {
    #[error("it is not a DICOM file")]
    NotDicom,
    /// A table of contents; the files that it names are read themselves.
    #[error("it is a DICOMDIR")]
    Directory,
    /// An empty file, or one that begins with zeros, as after failed copies; it refuses the stacks that have slices
    /// with its extension in its folder.
    #[error("it is empty or begins with zeros alone")]
    Blank,
    /// An object of another class than CT, MR, PET and 3D X-ray images: a report, contours, a segmentation.
    #[error("it is {}", class::name(class))]
    Class { class: String },
    #[error("it is a localizer")]
    Localizer,
    #[error("its pixels are colors")]
    Color,
    /// An image without pixels; it refuses the stacks of its series.
    #[error("it has no pixels")]
    NoPixels,
    /// An image that cannot be used; it refuses the stacks of its series or, where that is unknown, those with slices
    /// in its folder.
    #[error("it cannot be used: {0}")]
    Defect(#[from] DicomHeaderError),
    /// A file or folder that the system cannot read; a file refuses the stacks with slices in its folder.
    #[error("it cannot be read: {0}")]
    Io(io::Error),
    /// A pipe, a device or the like.
    #[error("it is not a regular file")]
    Irregular,
    /// A broken link; it refuses the stacks that have slices with its extension in its folder.
    #[error("it is a broken link")]
    BrokenLink,
    /// A link to a folder, which is not followed.
    #[error("it is a link to a folder")]
    LinkedFolder,
    /// A file that a DICOMDIR names and that does not exist; it refuses the stacks that the DICOMDIR names files of.
    #[error("a DICOMDIR names it, but it is absent")]
    Absent,
}

impl SkipReason {
    /// Whether the file is DICOM, or may be.
    pub fn is_dicom(&self) -> bool {
        !matches!(
            self,
            Self::NotDicom | Self::Blank | Self::Irregular | Self::BrokenLink | Self::LinkedFolder
        )
    }
}

/// A series of which no file can be used.
#[derive(Debug)]
pub struct UnreadSeries {
    /// As the first of its files states it.
    pub stated: StatedSeries,
    /// By path; never empty.
    pub files: Vec<PathBuf>,
}
