//! Why results cannot be written.

use std::path::{Path, PathBuf};

use vesal_volume::geometry::GeometryError;

use vesal_files::atomic::AtomicError;

/// Why a result cannot be written as DICOM; no message holds what identifies a patient.
#[derive(Debug, thiserror::Error)]
pub enum DicomWriteError {
    /// The file cannot be put in its place.
    #[error(transparent)]
    Output(#[from] AtomicError),
    /// DICOM cannot hold the result.
    #[error("cannot write `{}` as DICOM: {reason}", path.display())]
    Write {
        /// The destination.
        path: PathBuf,
        /// The rule.
        reason: Unwritable,
    },
}

impl DicomWriteError {
    pub(super) fn write(path: &Path) -> impl Fn(Unwritable) -> Self {
        move |reason| Self::Write {
            path: path.to_owned(),
            reason,
        }
    }

    /// What the reader can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Output(error) => error.hint(),
            Self::Write { reason, .. } => reason.hint(),
        }
    }
}

/// What DICOM cannot hold.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Unwritable {
    /// The affine leads nowhere.
    #[error(transparent)]
    Geometry(#[from] GeometryError),
    /// Rows and columns are not perpendicular.
    #[error("rows and columns enclose an angle of cosine {cosine}, expected perpendicular ones")]
    Skewed {
        /// Cosine of the angle.
        cosine: f64,
    },
    /// Planes are displaced against each other.
    #[error(
        "its planes are displaced by {aside_mm} mm from first to last, expected at most half a pixel"
    )]
    Sheared {
        /// Displacement of the last plane within its own.
        aside_mm: f64,
    },
    /// The grid has no voxels, or too many along an axis.
    #[error("a plane has {columns} columns and {rows} rows, expected 1 to 65535 of each")]
    Extent {
        /// Columns of a plane.
        columns: usize,
        /// Rows of a plane.
        rows: usize,
    },
    /// More than a file can hold.
    #[error("it needs {found} {what}, at most {limit} are possible")]
    TooMany {
        /// Of what: frames, bytes of pixels, segments.
        what: &'static str,
        /// How many.
        found: u64,
        /// How many are possible.
        limit: u64,
    },
    /// There is nothing to be written about.
    #[error("no segment is described")]
    NoSegments,
    /// The value of a segment cannot be one.
    #[error("segment `{segment}` has value {value}, expected {expected}")]
    Value {
        /// Name of the segment.
        segment: String,
        /// Its value.
        value: u16,
        /// What is allowed.
        expected: &'static str,
    },
    /// Two segments have one value.
    #[error("segments `{first}` and `{second}` both have value {value}")]
    Duplicate {
        /// The first of them.
        first: String,
        /// The second of them.
        second: String,
        /// Their value.
        value: u16,
    },
    /// The map has voxels that no segment describes.
    #[error("{voxels} voxels have value {value}, which no segment describes")]
    Undescribed {
        /// The value.
        value: u16,
        /// How many voxels of the map have it.
        voxels: u64,
    },
    /// Regions may overlap, values of a label map cannot.
    #[error("regions that may overlap cannot be written as a label map")]
    Overlap,
    /// A text breaks the rules of its attribute.
    #[error("the {what} `{text}` is not 1 to {limit} characters without backslash or control")]
    Text {
        /// Whose text.
        what: &'static str,
        /// The text.
        text: String,
        /// Most characters.
        limit: usize,
    },
    /// A UID breaks the rules of UIDs.
    #[error("the {what} is no UID")]
    Uid {
        /// Whose UID.
        what: &'static str,
    },
    /// The source's texts are in a character set that cannot hold those of the result.
    #[error(
        "the text `{text}` is not ASCII, and the source's texts are in a character set that cannot take it"
    )]
    CharacterSet {
        /// The text.
        text: String,
    },
    /// A date or time that is none.
    #[error("the result's date and time are none")]
    Moment,
    /// The report refers to the segmentation of another source.
    #[error("the segmentation that the report refers to has {found} segments, expected {expected}")]
    OtherSegmentation {
        /// Segments that it has.
        found: usize,
        /// Segments to be reported.
        expected: usize,
    },
    /// An element cannot be encoded.
    #[error("its elements cannot be encoded")]
    Encoding,
}

impl Unwritable {
    /// What the reader can do about it.
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
