//! RLE Lossless (PS3.5 annex G).

use crate::dicom::codec::error::CodecError;
use crate::dicom::codec::shape::FrameShape;

/// Decodes a frame into native bytes, the least significant first.
pub(in crate::dicom) fn decode(
    bytes: &[u8],
    shape: FrameShape,
    allocated: u32,
) -> Result<Vec<u8>, CodecError> {
    let width = allocated as usize / 8;
    let number = |index: usize| -> Result<usize, CodecError> {
        let bytes = bytes
            .get(4 * index..)
            .and_then(|rest| rest.first_chunk())
            .ok_or(CodecError::Ended)?;
        Ok(u32::from_le_bytes(*bytes) as usize)
    };
    if number(0)? != width || bytes.len() < 64 {
        return Err(CodecError::Damaged(
            "they have another number of segments than their pixels have bytes",
        ));
    }
    let mut pixels = vec![0; shape.pixels() * width];
    for segment in 0..width {
        let start = number(segment + 1)?;
        let end = if segment + 1 < width {
            number(segment + 2)?
        } else {
            bytes.len()
        };
        let packed = bytes
            .get(start..end)
            .filter(|_| start >= 64)
            .ok_or(CodecError::Damaged("a segment of theirs is out of place"))?;
        // The most significant bytes come first.
        let places = pixels.iter_mut().skip(width - 1 - segment).step_by(width);
        unpack(packed, places)?;
    }
    Ok(pixels)
}

/// Fills elements with bytes; the rest of the last run is padding.
fn unpack<'a>(
    packed: &[u8],
    mut places: impl ExactSizeIterator<Item = &'a mut u8>,
) -> Result<(), CodecError> {
    let mut rest = packed.iter();
    while places.len() > 0 {
        let head = *rest.next().ok_or(CodecError::Ended)?;
        let count = match head {
            0..=127 => usize::from(head) + 1,
            128 => continue,
            129..=255 => 257 - usize::from(head),
        };
        if head < 128 {
            for _ in 0..count {
                let byte = *rest.next().ok_or(CodecError::Ended)?;
                if let Some(place) = places.next() {
                    *place = byte;
                }
            }
        } else {
            let byte = *rest.next().ok_or(CodecError::Ended)?;
            places.by_ref().take(count).for_each(|place| *place = byte);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame of two segments: literal bytes, and a run.
    fn frame(segments: &[&[u8]]) -> Vec<u8> {
        let mut bytes = vec![0; 64];
        bytes[..4].copy_from_slice(&(segments.len() as u32).to_le_bytes());
        for (index, segment) in segments.iter().enumerate() {
            let start = bytes.len() as u32;
            bytes[4 + 4 * index..][..4].copy_from_slice(&start.to_le_bytes());
            bytes.extend_from_slice(segment);
        }
        bytes
    }

    #[test]
    fn segments_are_bytes_from_the_most_significant() {
        let shape = FrameShape {
            columns: 3,
            rows: 1,
        };
        let bytes = frame(&[&[254, 7, 128], &[2, 1, 2, 3]]);
        assert_eq!(decode(&bytes, shape, 16), Ok(vec![1, 7, 2, 7, 3, 7]));
        assert!(matches!(
            decode(&bytes, shape, 8),
            Err(CodecError::Damaged(_))
        ));
        let short = frame(&[&[254, 7], &[1, 1, 2]]);
        assert_eq!(decode(&short, shape, 16), Err(CodecError::Ended));
        assert!(decode(&bytes[..70], shape, 16).is_err());
        assert_eq!(decode(&[], shape, 16), Err(CodecError::Ended));
    }
}
