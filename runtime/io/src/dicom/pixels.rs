//! Reads frames: from the file's bytes to scaled values.

use std::fs::File;
use std::path::PathBuf;

use crate::dicom::codec::{self, Shape, rle};
use crate::dicom::dataset::{self, Encoding, next_fragment};
use crate::dicom::error::{DicomError, HeaderError, PixelError};
use crate::dicom::header::Header;
use crate::dicom::pixel_format::PixelFormat;
use crate::dicom::stack::Slice;
use crate::dicom::stream::Stream;
use crate::dicom::syntax::TransferSyntax;

/// A frame may be this many times as long as its compressed bytes: what deflate expands at most.
const EXPANSION_MAX: u64 = 1032;

/// Bytes of a frame that any number of compressed bytes may hold: an empty image compresses without bound.
const PLAIN_FRAME_BYTES: u64 = 8 << 20;

/// An image file and what its header says.
#[derive(Debug)]
pub(super) struct Image {
    pub path: PathBuf,
    /// Bytes of the file when it was scanned.
    pub bytes: u64,
    pub header: Header,
}

/// Place and length of the fragments of each frame.
pub(super) type Fragments = Vec<Vec<(u64, u32)>>;

/// Whether so many compressed bytes can be all of so many pixels' bytes.
pub(super) fn is_plausible(compressed: u64, expected: u64) -> bool {
    expected <= compressed.saturating_mul(EXPANSION_MAX) + PLAIN_FRAME_BYTES
}

impl Image {
    /// Finds the fragments of compressed frames; none of an image that is not encapsulated.
    pub fn fragments(&self) -> Result<Fragments, DicomError> {
        if !self.header.syntax.is_encapsulated() {
            return Ok(Vec::new());
        }
        let mut stream = self.open()?;
        self.find(&mut stream)
            .map_err(|reason| self.failed(0, reason))
    }

    /// Reads a frame, from 0: scaled values, row by row.
    pub fn read(&self, frame: usize, fragments: &Fragments) -> Result<Vec<f32>, DicomError> {
        self.read_stored(frame, fragments, |_| {})
    }

    /// The same, and shows the bytes of the frame as they are stored.
    pub fn read_stored(
        &self,
        frame: usize,
        fragments: &Fragments,
        stored: impl FnOnce(&[u8]),
    ) -> Result<Vec<f32>, DicomError> {
        let mut stream = self.open()?;
        let place = &self.header.frames[frame];
        let scale = Scale {
            format: self.header.format,
            slope: place.slope,
            intercept: place.intercept,
        };
        self.decoded(&mut stream, frame, fragments, scale, stored)
            .map_err(|reason| self.failed(frame, reason))
    }

    fn open(&self) -> Result<Stream, DicomError> {
        let file = File::open(&self.path).map_err(|reason| DicomError::Io {
            path: self.path.clone(),
            reason,
        })?;
        let opened = if self.header.syntax == TransferSyntax::Deflated {
            dataset::open(file).map(|(stream, _)| stream.deflated())
        } else {
            Stream::new(file).map_err(HeaderError::io)
        };
        opened.map_err(|reason| DicomError::Header {
            path: self.path.clone(),
            reason,
        })
    }

    fn failed(&self, frame: usize, reason: PixelError) -> DicomError {
        DicomError::Pixels {
            path: self.path.clone(),
            frame: frame + 1,
            reason,
        }
    }

    fn find(&self, stream: &mut Stream) -> Result<Fragments, PixelError> {
        let encoding = Encoding::of(self.header.syntax);
        stream.go_to(self.header.pixels.offset)?;
        let mut offsets: Option<Vec<u32>> = None;
        let mut found = Vec::new();
        // Old files may end without the last delimiter; whether pixels are absent, the decoder notices.
        while stream.rest() != Some(0)
            && let Some(length) = next_fragment(stream, encoding)?
        {
            let rest = stream.rest().unwrap_or(u64::MAX);
            if u64::from(length) > rest {
                return Err(PixelError::Fragment {
                    stated: length.into(),
                    rest,
                });
            }
            if offsets.is_none() {
                let mut table = vec![0; length as usize];
                stream.exact(&mut table)?;
                let entries = table.as_chunks().0.iter();
                offsets = Some(entries.map(|entry| encoding.u32(*entry)).collect());
                continue;
            }
            found.push((stream.position(), length));
            stream.skip(length.into())?;
        }
        let frames = self.header.frames.len();
        let offsets = offsets.unwrap_or_default();
        if frames == 1 {
            return Ok(vec![found]);
        }
        if found.len() == frames {
            return Ok(found.into_iter().map(|fragment| vec![fragment]).collect());
        }
        let ambiguous = PixelError::Fragments {
            fragments: found.len(),
            offsets: offsets.len(),
            frames: frames as u64,
        };
        let Some(&(first, _)) = found.first().filter(|_| offsets.len() == frames) else {
            return Err(ambiguous);
        };
        let mut by_frame: Fragments = vec![Vec::new(); frames];
        for fragment in found {
            let offset = fragment.0 - first;
            match offsets.partition_point(|start| u64::from(*start) <= offset) {
                0 => return Err(ambiguous),
                after => by_frame[after - 1].push(fragment),
            }
        }
        Ok(by_frame)
    }

    fn decoded(
        &self,
        stream: &mut Stream,
        frame: usize,
        fragments: &Fragments,
        scale: Scale,
        stored: impl FnOnce(&[u8]),
    ) -> Result<Vec<f32>, PixelError> {
        let header = &self.header;
        let shape = Shape {
            columns: header.columns,
            rows: header.rows,
        };
        let bytes = header.frame_bytes();
        if !header.syntax.is_encapsulated() {
            stream.go_to(header.pixels.offset + bytes * frame as u64)?;
            // The header's check has shown that the file is long enough for it.
            let mut native = vec![0; bytes as usize];
            stream.exact(&mut native)?;
            stored(&native);
            let encoding = Encoding::of(header.syntax);
            if encoding.big && header.pixels.words && header.format.allocated == 8 {
                native
                    .as_chunks_mut::<2>()
                    .0
                    .iter_mut()
                    .for_each(|pair| pair.reverse());
            }
            return Ok(scale.native(&native, encoding));
        }
        let fragments = fragments.get(frame).map(Vec::as_slice).unwrap_or_default();
        let compressed = read_fragments(stream, fragments)?;
        stored(&compressed);
        if !is_plausible(compressed.len() as u64, bytes) {
            return Err(PixelError::Implausible {
                found: compressed.len() as u64,
                expected: bytes,
            });
        }
        if header.syntax == TransferSyntax::Rle {
            let native = rle::decode(&compressed, shape, header.format.allocated)?;
            return Ok(scale.native(&native, Encoding::of(header.syntax)));
        }
        let samples = codec::decode(header.syntax, &compressed, shape, header.format)?;
        drop(compressed);
        Ok(scale.values(samples.into_iter().map(u32::from)))
    }
}

/// Whether two slices have the same pixels.
pub(super) fn is_equal(a: &Slice, b: &Slice) -> Result<bool, DicomError> {
    let read = |slice: &Slice| slice.image.read(slice.frame, &slice.image.fragments()?);
    let bits = |frame: Vec<f32>| frame.into_iter().map(f32::to_bits);
    Ok(bits(read(a)?).eq(bits(read(b)?)))
}

fn read_fragments(stream: &mut Stream, fragments: &[(u64, u32)]) -> Result<Vec<u8>, PixelError> {
    // Their lengths have been checked against the file.
    let total: usize = fragments.iter().map(|(_, length)| *length as usize).sum();
    let mut bytes = vec![0; total];
    let mut rest = bytes.as_mut_slice();
    for (offset, length) in fragments {
        let (here, after) = rest.split_at_mut(*length as usize);
        stream.go_to(*offset)?;
        stream.exact(here)?;
        rest = after;
    }
    Ok(bytes)
}

/// From a stored bit pattern to a value (PS3.3 C.7.6.3.1, C.11.1).
#[derive(Debug, Clone, Copy)]
struct Scale {
    format: PixelFormat,
    slope: f64,
    intercept: f64,
}

impl Scale {
    /// The values of stored patterns. What their format decides is decided once, so that many are scaled at a time.
    fn values(self, patterns: impl Iterator<Item = u32>) -> Vec<f32> {
        let PixelFormat {
            stored,
            high,
            signed,
            ..
        } = self.format;
        // The stored bits go to the upper end, so that the shift back brings the sign along.
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
        // Steps of `f32`, in which converters to NIfTI compute: voxels are bit for bit those that networks learn from.
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

    fn native(self, bytes: &[u8], encoding: Encoding) -> Vec<f32> {
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
        Scale {
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
