//! Why a compressed frame cannot be decoded.

/// Why a compressed frame cannot be decoded.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CodecError {
    /// The bytes end too early.
    #[error("they end within the image")]
    Ended,
    /// The bytes break a rule of their format.
    #[error("{0}")]
    Damaged(&'static str),
    /// A part of the format that slices do not use.
    #[error("{0} is not supported")]
    Unsupported(&'static str),
    /// The frame has another shape than the header states.
    #[error("they hold {found:?} columns and rows, the header states {expected:?}")]
    Shape {
        /// Columns and rows of the compressed frame.
        found: [usize; 2],
        /// Columns and rows by the header.
        expected: [usize; 2],
    },
    /// The samples have more bits than the header has room for.
    #[error("their samples have {found} bits, the header allocates {expected}")]
    Bits {
        /// Bits of a sample.
        found: u32,
        /// Bits by the header.
        expected: u32,
    },
    /// The decoder of JPEG 2000 refuses the bytes.
    #[error("the JPEG 2000 decoder answers: {0}")]
    Jpeg2000(String),
}
