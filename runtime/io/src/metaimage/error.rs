//! Errors of MetaImage headers.

use crate::image::affine::AffineDefect;
use crate::image::data_files::DataFilesError;
use crate::image::error::{HeaderDefect, HeaderProblem};

/// Name of the format.
pub(super) const NAME: &str = "MetaImage";

/// A rule of the format, or of its supported part, that a header breaks.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum MetaImageError {
    #[error("it does not begin with `ObjectType = Image` or `NDims = 3`")]
    Start,
    #[error("it goes on for more than {limit} bytes without `ElementDataFile`")]
    Long { limit: u64 },
    #[error("line {line} is no `FIELD = VALUE`")]
    Line {
        /// From 1.
        line: usize,
    },
    #[error("it states `{field}` twice")]
    Twice { field: &'static str },
    #[error("it does not state `{field}`")]
    Missing { field: &'static str },
    #[error("`{field}` is `{found}`, expected {expected}")]
    Value {
        field: &'static str,
        /// Its first characters.
        found: String,
        expected: &'static str,
    },
    #[error("`{field}` has {found} numbers, expected {expected}")]
    Count {
        field: &'static str,
        found: usize,
        expected: usize,
    },
    #[error("it has {found} axes, expected 3, or 4 of which the last one has the channels")]
    Dimension { found: usize },
    #[error("its sizes {sizes:?} give more bytes than a 64-bit file can have")]
    Overflow { sizes: Vec<usize> },
    #[error("its affine is unusable: {defect}")]
    Affine { defect: AffineDefect },
    #[error("`HeaderSize` is -1 for compressed voxels, expected a number of bytes")]
    CompressedFromEnd,
    #[error(
        "`HeaderSize` is {found}, which lies within the header itself, expected at least {header}"
    )]
    HeaderSize { found: u64, header: u64 },
    #[error(transparent)]
    DataFiles(#[from] DataFilesError),
}

impl HeaderDefect for MetaImageError {
    fn hint(&self) -> Option<&'static str> {
        match self {
            Self::DataFiles(error) => error.hint(),
            Self::Dimension { found: 2 } => {
                Some("stack the slices of a volume into one file of three axes")
            }
            Self::Value {
                field: "DistanceUnits",
                ..
            } => Some("save it again in millimeters"),
            _ => None,
        }
    }

    fn problem(&self) -> HeaderProblem {
        match self {
            Self::Start => HeaderProblem::OtherFormat,
            _ => HeaderProblem::Malformed,
        }
    }
}
