//! Errors of NRRD headers.

use crate::image::affine::AffineDefect;
use crate::image::data_files::DataFilesError;
use crate::image::error::{HeaderDefect, HeaderProblem};

/// Name of the format.
pub(super) const NAME: &str = "NRRD";

/// A rule of the format, or of its supported part, that a header breaks.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum NrrdError {
    #[error("it does not begin with `NRRD0001` to `NRRD0006`")]
    Magic,
    #[error("it goes on for more than {limit} bytes")]
    Long { limit: u64 },
    #[error("line {line} is none of `field: value`, `key:=value` and `# comment`")]
    Line {
        /// From 1.
        line: usize,
    },
    #[error("line {line} states `{field}`, which is not a field of the format")]
    UnknownField { line: usize, field: String },
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
    #[error("`{field}` has {found} entries, expected {expected}, one for each axis")]
    Count {
        field: &'static str,
        found: usize,
        expected: usize,
    },
    /// A value of the format that is not supported.
    #[error("its {field} is {found}, expected {expected}")]
    Unsupported {
        field: &'static str,
        found: String,
        expected: &'static str,
    },
    /// Directions in a space that has no fixed relation to the patient.
    #[error(
        "its space is {}, expected `right-anterior-superior`, `left-anterior-superior` or `left-posterior-superior`",
        found.as_ref().map_or("not stated".to_owned(), |found| format!("`{found}`"))
    )]
    Space { found: Option<String> },
    #[error("{found} of its {dimension} axes are spatial, expected 3")]
    SpaceAxes { found: usize, dimension: usize },
    #[error("it does not state which of its {dimension} axes are spatial")]
    UnknownAxes { dimension: usize },
    #[error("{found} axes besides the spatial ones have several entries, expected one at most")]
    ChannelAxes { found: usize },
    #[error(
        "axis {axis} with {entries} entries is between the spatial axes, expected it before or after them"
    )]
    ChannelsBetween {
        /// From 0.
        axis: usize,
        entries: usize,
    },
    #[error("its sizes {sizes:?} give more bytes than a 64-bit file can have")]
    Overflow { sizes: Vec<usize> },
    #[error("its affine (from {from}) is unusable: {defect}")]
    Affine {
        from: &'static str,
        defect: AffineDefect,
    },
    #[error("`byte skip` is -1 with {encoding} encoding, expected raw encoding")]
    SkipFromEnd { encoding: &'static str },
    #[error(transparent)]
    DataFiles(#[from] DataFilesError),
}

impl HeaderDefect for NrrdError {
    fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Unsupported {
                field: "encoding", ..
            } => Some("save it again with gzip encoding, which every program that writes NRRD has"),
            Self::Space { .. } => Some(
                "save it again with a program that knows the orientation: this file does not distinguish left from right",
            ),
            Self::UnknownAxes { .. } => {
                Some("state `space directions`, or `kinds` such as `domain domain domain list`")
            }
            Self::DataFiles(error) => error.hint(),
            _ => None,
        }
    }

    fn problem(&self) -> HeaderProblem {
        match self {
            Self::Magic => HeaderProblem::OtherFormat,
            _ => HeaderProblem::Malformed,
        }
    }
}
