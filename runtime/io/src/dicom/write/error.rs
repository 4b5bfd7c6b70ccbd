//! Why results cannot be written.

use std::path::{Path, PathBuf};

use vesal_volume::geometry::GeometryError;

use vesal_files::atomic::AtomicError;

/// Why a result cannot be written as DICOM; messages contain no identifiers of patients.
#[derive(Debug, thiserror::Error)]
pub enum DicomWriteError {
    /// The file cannot be renamed to its destination.
    #[error(transparent)]
    Output(#[from] AtomicError),
    /// The result cannot be expressed in DICOM.
    #[error("cannot write `{}` as DICOM: {reason}", path.display())]
    Write { path: PathBuf, reason: Unwritable },
}

impl DicomWriteError {
    pub(super) fn write(path: &Path) -> impl Fn(Unwritable) -> Self {
        move |reason| Self::Write {
            path: path.to_owned(),
            reason,
        }
    }

    /// A remedy for the user.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Output(error) => error.hint(),
            Self::Write { reason, .. } => reason.hint(),
        }
    }
}

/// Why a result cannot be expressed in DICOM.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Unwritable {
    /// The affine has no inverse.
    #[error(transparent)]
    Geometry(#[from] GeometryError),
    /// Rows and columns are not perpendicular.
    #[error("rows and columns enclose an angle of cosine {cosine}, expected perpendicular ones")]
    Skewed { cosine: f64 },
    /// Planes are displaced against each other.
    #[error(
        "its planes are displaced by {aside_mm} mm from first to last, expected at most half a pixel"
    )]
    Sheared {
        /// Displacement of the last plane within itself, in mm.
        aside_mm: f64,
    },
    /// The grid has no voxels, or too many along an axis.
    #[error("a plane has {columns} columns and {rows} rows, expected 1 to 65535 of each")]
    Extent { columns: usize, rows: usize },
    /// A number exceeds the limits of a file.
    #[error("it needs {found} {what}, at most {limit} are possible")]
    TooMany {
        /// Of what: frames, bytes of pixels, segments.
        what: &'static str,
        found: u64,
        limit: u64,
    },
    /// No segment is described.
    #[error("no segment is described")]
    NoSegments,
    /// The value of a segment is invalid.
    #[error("segment `{segment}` has value {value}, expected {expected}")]
    Value {
        segment: String,
        value: u16,
        expected: &'static str,
    },
    /// Two segments have one value.
    #[error("segments `{first}` and `{second}` both have value {value}")]
    Duplicate {
        first: String,
        second: String,
        value: u16,
    },
    /// The map has voxels that no segment describes.
    #[error("{voxels} voxels have value {value}, which no segment describes")]
    Undescribed {
        value: u16,
        /// Number of voxels with this value.
        voxels: u64,
    },
    /// Regions that may overlap cannot be a label map.
    #[error("regions that may overlap cannot be written as a label map")]
    Overlap,
    /// A text breaks the rules of its attribute.
    #[error("the {what} `{text}` is not 1 to {limit} characters without backslash or control")]
    Text {
        what: &'static str,
        text: String,
        limit: usize,
    },
    /// A UID breaks the rules of UIDs.
    #[error("the {what} is not a UID")]
    Uid { what: &'static str },
    /// The source's character set cannot encode the texts of the result.
    #[error("the text `{text}` is not ASCII, and the source's character set cannot encode it")]
    CharacterSet { text: String },
    /// The date or time is invalid.
    #[error("the result's date and time are invalid")]
    Moment,
    /// The report refers to the segmentation of another source.
    #[error("the segmentation that the report refers to has {found} segments, expected {expected}")]
    OtherSegmentation { found: usize, expected: usize },
    /// An element cannot be encoded.
    #[error("its elements cannot be encoded")]
    Encoding,
}

impl Unwritable {
    /// A remedy for the user.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Skewed { .. } | Self::Sheared { .. } => {
                Some("write NIfTI, which holds sheared grids, or resample the series")
            }
            Self::TooMany { .. } => Some("write a label map, or NIfTI"),
            Self::Overlap => Some("write them as binary segments"),
            Self::CharacterSet { .. } | Self::Text { .. } => {
                Some("give the label a short name in ASCII")
            }
            _ => None,
        }
    }
}
