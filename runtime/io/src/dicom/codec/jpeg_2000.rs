//! JPEG 2000 with one component of up to 16 bits, by the decoder of another crate.

use std::panic::{AssertUnwindSafe, catch_unwind};

use hayro_jpeg2000::{DecodeSettings, DecoderContext, Image};

use crate::dicom::codec::{CodecError, Shape};

/// Start of image, then the marker of its sizes.
const CODESTREAM: [u8; 4] = [0xff, 0x4f, 0xff, 0x51];

/// Place of the first component's precision behind the start of a codestream (ITU-T T.800 A.5.1).
const PRECISION_AT: usize = 42;

/// Decodes a frame: its samples and their bits.
pub(super) fn decode(bytes: &[u8], shape: Shape) -> Result<(Vec<u16>, u32), CodecError> {
    // Some writers put the codestream into a file, against PS3.5 A.4.4.
    let start = bytes
        .windows(4)
        .take(1 << 12)
        .position(|window| window == CODESTREAM)
        .ok_or(CodecError::Damaged("they hold no JPEG 2000 codestream"))?;
    let stream = &bytes[start..];
    let sizes = stream.get(..PRECISION_AT + 1).ok_or(CodecError::Ended)?;
    if sizes[PRECISION_AT - 2..PRECISION_AT] != [0, 1] {
        return Err(CodecError::Unsupported("more than one component"));
    }
    let (signed, precision) = (
        sizes[PRECISION_AT] & 0x80 != 0,
        u32::from(sizes[PRECISION_AT] & 0x7f) + 1,
    );
    if precision > 16 {
        return Err(CodecError::Unsupported("a precision of more than 16 bits"));
    }
    // A decoder of foreign bytes, whose own faults must not end the process.
    let samples = catch_unwind(AssertUnwindSafe(|| {
        samples(stream, shape, signed, precision)
    }))
    .map_err(|_| CodecError::Jpeg2000("nothing, it fails on these bytes".to_owned()))??;
    Ok((samples, precision))
}

fn samples(
    stream: &[u8],
    shape: Shape,
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
    // The decoder takes all samples for unsigned and moves them up by half their range.
    let (most, offset) = (
        ((1_u32 << precision) - 1) as f32,
        if signed { 1_i32 << (precision - 1) } else { 0 },
    );
    Ok(samples
        .iter()
        .map(|sample| (sample.round_ties_even().clamp(0.0, most) as i32 - offset) as u16)
        .collect())
}
