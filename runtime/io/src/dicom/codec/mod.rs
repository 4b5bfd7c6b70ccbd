//! Decoders of compressed frames of one sample per pixel.
//!
//! Every decoder takes the bytes of one frame and the shape that the header states, and refuses a frame of any other
//! shape before allocating memory for it. Samples are bit patterns of up to 16 bits, as they would be stored natively.
//!
//! RLE, JPEG and JPEG-LS are decoded here, because slices need only a small part of those formats (one component) but
//! their full precision: 12-bit JPEG with cosine transform, 16-bit lossless.

mod bits;
mod error;
mod jpeg;
mod jpeg_2000;
mod jpeg_ls;
pub(super) mod rle;
mod shape;

pub use error::CodecError;
pub(super) use shape::FrameShape;

use crate::dicom::pixel_format::PixelFormat;
use crate::dicom::syntax::TransferSyntax;

/// Memory in bytes that decoding takes for each pixel of a frame, at most: JPEG 2000's, for coefficients, their
/// transform and packets.
pub(super) const DECODER_BYTES_PER_PIXEL: u64 = 32;

/// Decodes a frame of one of the JPEG families.
pub(super) fn decode(
    syntax: TransferSyntax,
    bytes: &[u8],
    shape: FrameShape,
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
