//! Errors of NRRD headers.

use crate::image::affine::AffineDefect;
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
    #[error("data file `{found}` does not lie within the header's folder")]
    Outside {
        /// Its first characters.
        found: String,
    },
    #[error("it names {found} data files, expected {expected} by its sizes")]
    Files { found: u64, expected: u64 },
    #[error("it names the data file `{file}` several times")]
    Repeated {
        /// Its first characters.
        file: String,
    },
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
            Self::Outside { .. } => {
                Some("move the data file beside its header, and let `data file` be its name")
            }
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

/// The first characters of what a header states, for messages.
pub(super) fn shown(text: &str) -> String {
    const MOST: usize = 60;
    match text.char_indices().nth(MOST) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text.to_owned(),
    }
}
