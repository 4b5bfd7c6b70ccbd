//! Decoders of compressed frames of one sample per pixel.
//!
//! Every decoder takes the bytes of one frame and the shape that the header states, and refuses a frame of any other
//! shape before it takes memory for it. Samples are bit patterns of up to 16 bits, as they would be stored natively.
//!
//! RLE, JPEG and JPEG-LS are decoded here, because images of slices need a small part of those formats (one component)
//! and the whole of their precision: 12-bit JPEG with cosine transform, 16-bit lossless.

mod bits;
mod jpeg;
mod jpeg_2000;
mod jpeg_ls;
pub(super) mod rle;

use crate::dicom::pixel_format::PixelFormat;
use crate::dicom::syntax::TransferSyntax;

/// The shape of a frame by its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    pub columns: usize,
    pub rows: usize,
}

impl Shape {
    pub fn pixels(self) -> usize {
        self.columns * self.rows
    }

    /// Checks the shape that compressed bytes state.
    fn check(self, columns: usize, rows: usize) -> Result<(), CodecError> {
        if (columns, rows) == (self.columns, self.rows) {
            Ok(())
        } else {
            Err(CodecError::Shape {
                found: [columns, rows],
                expected: [self.columns, self.rows],
            })
        }
    }
}

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

/// Decodes a frame of one of the JPEG families.
pub(super) fn decode(
    syntax: TransferSyntax,
    bytes: &[u8],
    shape: Shape,
    format: PixelFormat,
) -> Result<Vec<u16>, CodecError> {
    let (samples, bits) = match syntax {
        TransferSyntax::Jpeg(_) => jpeg::decode(bytes, shape)?,
        TransferSyntax::JpegLs(_) => jpeg_ls::decode(bytes, shape)?,
        TransferSyntax::Jpeg2000(_) => jpeg_2000::decode(bytes, shape)?,
        _ => return Err(CodecError::Unsupported("this transfer syntax")),
    };
    if bits > format.allocated {
        return Err(CodecError::Bits {
            found: bits,
            expected: format.allocated,
        });
    }
    Ok(samples)
}
