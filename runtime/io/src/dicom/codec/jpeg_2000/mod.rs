//! JPEG 2000 with one component of up to 16 bits, by the decoder of another crate.
//!
//! The decoder of another crate is used. It trusts the sizes that a codestream states, and accepts missing packets.
//! Therefore markers and packet headers are checked first, and the decoder gets a codestream that is written from the
//! checked values.

mod codestream;
mod header_bits;
mod packets;
mod rewrite;
mod segments;

use std::panic::{AssertUnwindSafe, catch_unwind};

use hayro_jpeg2000::{DecodeSettings, DecoderContext, Image};

use self::codestream::{Codestream, Tile};
use crate::dicom::codec::error::CodecError;
use crate::dicom::codec::shape::FrameShape;

/// Start of image, then the marker of its sizes.
const CODESTREAM: [u8; 4] = [0xff, 0x4f, 0xff, 0x51];

/// Decodes a frame; returns its samples and their precision in bits.
///
/// **Errors**: a broken format; tiles, precincts, code-blocks or layers out of proportion to the pixels; absent
/// packets, which the decoder would replace with zeros.
pub(super) fn decode(bytes: &[u8], shape: FrameShape) -> Result<(Vec<u16>, u32), CodecError> {
    // Some writers put the codestream into a file, against PS3.5 A.4.4.
    let start = bytes
        .windows(4)
        .take(1 << 12)
        .position(|window| window == CODESTREAM)
        .ok_or(CodecError::Damaged("they hold no JPEG 2000 codestream"))?;
    let stream = Codestream::read(&bytes[start..], shape)?;
    let (signed, precision) = (stream.signed, stream.precision);
    if precision > 16 {
        return Err(CodecError::Unsupported("a precision of more than 16 bits"));
    }
    stream.tiles.iter().try_for_each(Tile::check_packets)?;
    let stream = stream.rewritten()?;
    // A panic of the decoder must not end the process.
    let samples = catch_unwind(AssertUnwindSafe(|| {
        samples(&stream, shape, signed, precision)
    }))
    .map_err(|_| CodecError::Jpeg2000("nothing, it fails on these bytes".to_owned()))??;
    Ok((samples, precision))
}

fn samples(
    stream: &[u8],
    shape: FrameShape,
    signed: bool,
    precision: u32,
) -> Result<Vec<u16>, CodecError> {
    let failed = |reason: hayro_jpeg2000::DecodeError| CodecError::Jpeg2000(reason.to_string());
    let settings = DecodeSettings {
        strict: true,
        ..DecodeSettings::default()
    };
    let image = Image::new(stream, &settings).map_err(failed)?;
    shape.check(image.width() as usize, image.height() as usize)?;
    let mut context = DecoderContext::default();
    let decoded = image.decode(&mut context).map_err(failed)?;
    let samples = match decoded.components() {
        [component] => component.samples(),
        _ => return Err(CodecError::Unsupported("more than one component")),
    };
    let found = samples.len();
    if found != shape.pixels() {
        return Err(CodecError::Damaged("their component is subsampled"));
    }
    // The decoder treats all samples as unsigned and shifts them up by half their range.
    let (most, offset) = (
        ((1_u32 << precision) - 1) as f32,
        if signed { 1_i32 << (precision - 1) } else { 0 },
    );
    Ok(samples
        .iter()
        .map(|sample| (sample.round_ties_even().clamp(0.0, most) as i32 - offset) as u16)
        .collect())
}
