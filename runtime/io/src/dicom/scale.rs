//! Converts stored numbers to values.

use crate::dicom::dataset::Encoding;
use crate::dicom::pixel_format::PixelFormat;

/// Converts stored bit patterns to values (PS3.3 C.7.6.3.1, C.11.1).
#[derive(Debug, Clone, Copy)]
pub(super) struct Rescale {
    pub format: PixelFormat,
    pub slope: f64,
    pub intercept: f64,
}

impl Rescale {
    /// The values of stored patterns. The format is matched once, so that loops vectorize.
    pub fn values(self, patterns: impl Iterator<Item = u32>) -> Vec<f32> {
        let PixelFormat {
            stored,
            high,
            signed,
            ..
        } = self.format;
        // Shifts the stored bits to the top, so that the shift back extends the sign.
        let (up, down) = (31 - high, 32 - stored);
        if stored > 24 {
            let value = |number: f64| (number * self.slope + self.intercept) as f32;
            return if signed {
                let numbers = patterns.map(|pattern| (pattern << up) as i32 >> down);
                numbers.map(|number| value(number.into())).collect()
            } else {
                let numbers = patterns.map(|pattern| pattern << up >> down);
                numbers.map(|number| value(number.into())).collect()
            };
        }
        // Computed in `f32` as converters to NIfTI do, so that voxels are bit for bit those of training data.
        let (slope, intercept) = (self.slope as f32, self.intercept as f32);
        let value = |number: i32| number as f32 * slope + intercept;
        if signed {
            let numbers = patterns.map(|pattern| (pattern << up) as i32 >> down);
            numbers.map(value).collect()
        } else {
            let numbers = patterns.map(|pattern| (pattern << up >> down) as i32);
            numbers.map(value).collect()
        }
    }

    /// The values of native bytes.
    pub fn native(self, bytes: &[u8], encoding: Encoding) -> Vec<f32> {
        let (pairs, fours) = (bytes.as_chunks().0.iter(), bytes.as_chunks().0.iter());
        match (self.format.allocated, encoding.big) {
            (8, _) => self.values(bytes.iter().map(|&byte| byte.into())),
            (16, false) => self.values(pairs.map(|&word| u16::from_le_bytes(word).into())),
            (16, true) => self.values(pairs.map(|&word| u16::from_be_bytes(word).into())),
            (_, false) => self.values(fours.map(|&word| u32::from_le_bytes(word))),
            (_, true) => self.values(fours.map(|&word| u32::from_be_bytes(word))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(stored: u32, high: u32, signed: bool, pattern: u32) -> f32 {
        let format = PixelFormat {
            allocated: 16,
            stored,
            high,
            signed,
        };
        Rescale {
            format,
            slope: 2.0,
            intercept: 1.0,
        }
        .values(std::iter::once(pattern))[0]
    }

    #[test]
    fn only_the_stored_bits_count() {
        assert_eq!(value(12, 11, false, 0xf00a), 21.0);
        assert_eq!(value(12, 11, true, 0xffff), -1.0);
        assert_eq!(value(12, 11, true, 0x0fff), -1.0);
        assert_eq!(value(12, 11, true, 0xf7ff), 4095.0);
        assert_eq!(value(12, 15, false, 0x00af), 21.0);
        assert_eq!(value(16, 15, true, 0x8000), -65535.0);
        assert_eq!(value(1, 0, false, 0xffff), 3.0);
    }
}
