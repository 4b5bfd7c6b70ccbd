//! Reads frames of an image file as scaled values.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::DEFLATE_EXPANSION_MAX;
use crate::dicom::codec::{self, FrameShape, rle};
use crate::dicom::dataset::{self, Encoding, next_fragment};
use crate::dicom::error::{DicomError, DicomHeaderError, PixelError};
use crate::dicom::image_header::ImageHeader;
use crate::dicom::scale::Rescale;
use crate::dicom::stream::DataSetStream;
use crate::dicom::syntax::TransferSyntax;

/// Largest frame in bytes that is accepted whatever its compressed size: a constant image compresses without bound.
const PLAIN_FRAME_BYTES: u64 = 8 << 20;

/// An image file and its header.
#[derive(Debug)]
pub(super) struct Image {
    pub path: Arc<Path>,
    /// Bytes of the file when it was scanned.
    pub bytes: u64,
    pub header: ImageHeader,
}

/// Place and length of the fragments of each frame.
pub(super) type Fragments = Vec<Vec<(u64, u32)>>;

/// Where the frames of an image are.
pub(super) enum FrameIndex {
    /// Uncompressed, one after the other in the file.
    InFile,
    /// The fragments of each.
    Fragments(Fragments),
    /// The bytes of all frames of a deflated data set, inflated.
    Inflated(Vec<u8>),
}

/// Bytes that are compared at a time: a multiple of the bytes of a pixel.
const COMPARED_BYTES: usize = 1 << 16;

/// Whether `compressed` bytes can hold `expected` bytes of pixels: no codec is expected to exceed the ratio of deflate.
pub(super) fn is_plausible(compressed: u64, expected: u64) -> bool {
    expected <= compressed.saturating_mul(DEFLATE_EXPANSION_MAX) + PLAIN_FRAME_BYTES
}

impl Image {
    /// Locates the frames, so that they can be read in any order.
    pub fn find(&self) -> Result<FrameIndex, DicomError> {
        let is_encapsulated = self.header.syntax.is_encapsulated();
        if !is_encapsulated && self.header.syntax != TransferSyntax::Deflated {
            return Ok(FrameIndex::InFile);
        }
        let mut stream = self.open()?;
        let found = if is_encapsulated {
            self.fragments(&mut stream).map(FrameIndex::Fragments)
        } else {
            self.inflate(&mut stream).map(FrameIndex::Inflated)
        };
        found.map_err(|reason| self.failed(0, reason))
    }

    /// Reads a frame, from 0: scaled values, row by row.
    pub fn read(&self, frame: usize, found: &FrameIndex) -> Result<Vec<f32>, DicomError> {
        self.read_stored(frame, found, |_| {})
    }

    /// As [`Image::read`]; `stored` gets the bytes of the frame as they are stored, inflated where the data set is
    /// deflated.
    pub fn read_stored(
        &self,
        frame: usize,
        found: &FrameIndex,
        stored: impl FnOnce(&[u8]),
    ) -> Result<Vec<f32>, DicomError> {
        let decoded = match found {
            FrameIndex::Inflated(native) => Ok(self.inflated(native, frame, stored)),
            FrameIndex::InFile => self.native(&mut self.open()?, frame, stored),
            FrameIndex::Fragments(fragments) => {
                let fragments = fragments.get(frame).map(Vec::as_slice).unwrap_or_default();
                self.decoded(&mut self.open()?, frame, fragments, stored)
            }
        };
        decoded.map_err(|reason| self.failed(frame, reason))
    }

    /// Bytes of all frames as stored without compression.
    pub fn pixel_bytes(&self) -> u64 {
        let frames = self.header.frames.len() as u64;
        self.header.frame_bytes().saturating_mul(frames)
    }

    /// Digests of the stored bytes of frames, given in ascending order, and of all that their values depend on: equal
    /// digests mean equal values.
    pub fn stored_digests(&self, frames: &[usize]) -> Result<Vec<[u8; 32]>, DicomError> {
        self.digests(frames, |image, frame, digest, bytes| {
            if digest.is_none() {
                let header = &image.header;
                let place = header.frames.get(frame);
                let meaning = format!(
                    "{:?} {:?} {} {} {}",
                    header.syntax,
                    header.format,
                    header.pixels.words,
                    place.slope.to_bits(),
                    place.intercept.to_bits()
                );
                *digest = Some(Sha256::new_with_prefix(meaning));
            }
            if let Some(digest) = digest {
                digest.update(bytes);
            }
        })
    }

    /// Digests of the values of frames that are not encapsulated, which are given in ascending order.
    pub fn value_digests(&self, frames: &[usize]) -> Result<Vec<[u8; 32]>, DicomError> {
        self.digests(frames, |image, frame, digest, bytes| {
            let values = image
                .scale(frame)
                .native(bytes, Encoding::of(image.header.syntax));
            update(digest.get_or_insert_default(), &values);
        })
    }

    /// Digest of the values of one frame.
    pub fn value_digest(&self, frame: usize, found: &FrameIndex) -> Result<[u8; 32], DicomError> {
        let mut digest = Sha256::new();
        update(&mut digest, &self.read(frame, found)?);
        Ok(digest.finalize().into())
    }

    /// Reads the stored bytes of frames once, part by part, and digests what `add` makes of them.
    fn digests(
        &self,
        frames: &[usize],
        add: impl Fn(&Self, usize, &mut Option<Sha256>, &[u8]),
    ) -> Result<Vec<[u8; 32]>, DicomError> {
        let mut stream = self.open()?;
        let fragments = if self.header.syntax.is_encapsulated() {
            let fragments = self.fragments(&mut stream);
            fragments.map_err(|reason| self.failed(0, reason))?
        } else {
            Vec::new()
        };
        let bytes = self.header.frame_bytes();
        let mut buffer = vec![0; COMPARED_BYTES];
        let mut of_frame = |frame: usize| -> Result<[u8; 32], PixelError> {
            let mut digest = None;
            let native = [(self.header.pixels.offset + bytes * frame as u64, bytes)];
            let fragments = fragments.get(frame).map(Vec::as_slice).unwrap_or_default();
            let fragments = fragments
                .iter()
                .map(|(at, length)| (*at, u64::from(*length)));
            let parts: Vec<(u64, u64)> = if self.header.syntax.is_encapsulated() {
                fragments.collect()
            } else {
                native.to_vec()
            };
            for (start, length) in parts {
                stream.go_to(start)?;
                let mut left = length;
                while left > 0 {
                    let part = &mut buffer[..left.min(COMPARED_BYTES as u64) as usize];
                    stream.exact(part)?;
                    left -= part.len() as u64;
                    self.turn_words(part);
                    add(self, frame, &mut digest, part);
                }
            }
            Ok(digest.unwrap_or_default().finalize().into())
        };
        frames
            .iter()
            .map(|&frame| of_frame(frame).map_err(|reason| self.failed(frame, reason)))
            .collect()
    }

    fn scale(&self, frame: usize) -> Rescale {
        let place = self.header.frames.get(frame);
        Rescale {
            format: self.header.format,
            slope: place.slope,
            intercept: place.intercept,
        }
    }

    /// Swaps the bytes of 8-bit pixels that are stored as big-endian words.
    fn turn_words(&self, native: &mut [u8]) {
        let header = &self.header;
        let encoding = Encoding::of(header.syntax);
        if encoding.big && header.pixels.words && header.format.allocated == 8 {
            let pairs = native.as_chunks_mut::<2>().0;
            pairs.iter_mut().for_each(|pair| pair.reverse());
        }
    }

    fn open(&self) -> Result<DataSetStream<'static>, DicomError> {
        let file = File::open(&self.path).map_err(DicomError::io(&self.path))?;
        let opened = if self.header.syntax == TransferSyntax::Deflated {
            let end = self.header.pixels.offset.saturating_add(self.pixel_bytes());
            dataset::open(file).map(|(stream, _)| stream.deflated().up_to(end))
        } else {
            DataSetStream::new(file).map_err(DicomHeaderError::io)
        };
        opened.map_err(DicomError::header(&self.path))
    }

    fn failed(&self, frame: usize, reason: PixelError) -> DicomError {
        DicomError::Pixels {
            path: self.path.to_path_buf(),
            frame: frame + 1,
            reason,
        }
    }

    fn fragments(&self, stream: &mut DataSetStream) -> Result<Fragments, PixelError> {
        let encoding = Encoding::of(self.header.syntax);
        stream.go_to(self.header.pixels.offset)?;
        let mut offsets: Option<Vec<u32>> = None;
        let mut found = Vec::new();
        // Old files may end without the last delimiter; the decoder detects missing pixels.
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

    /// The bytes of all frames of a deflated image.
    fn inflate(&self, stream: &mut DataSetStream) -> Result<Vec<u8>, PixelError> {
        let count = self.pixel_bytes() as usize;
        // Only checks whether the memory is available.
        let memory = Vec::<u8>::new().try_reserve_exact(count);
        memory.map_err(|_| DicomHeaderError::io(io::ErrorKind::OutOfMemory.into()))?;
        stream.go_to(self.header.pixels.offset)?;
        let mut native = vec![0; count];
        stream.exact(&mut native)?;
        Ok(native)
    }

    /// A frame of an inflated image.
    fn inflated(&self, native: &[u8], frame: usize, stored: impl FnOnce(&[u8])) -> Vec<f32> {
        let mut frames = native.chunks_exact(self.header.frame_bytes() as usize);
        let native = frames.nth(frame).unwrap_or_default();
        stored(native);
        let encoding = Encoding::of(self.header.syntax);
        self.scale(frame).native(native, encoding)
    }

    /// A frame that is not compressed.
    fn native(
        &self,
        stream: &mut DataSetStream,
        frame: usize,
        stored: impl FnOnce(&[u8]),
    ) -> Result<Vec<f32>, PixelError> {
        let header = &self.header;
        let length = header.frame_bytes();
        stream.go_to(header.pixels.offset + length * frame as u64)?;
        // The header's check has shown that the file is long enough for it.
        let mut native = vec![0; length as usize];
        stream.exact(&mut native)?;
        stored(&native);
        self.turn_words(&mut native);
        let encoding = Encoding::of(header.syntax);
        Ok(self.scale(frame).native(&native, encoding))
    }

    fn decoded(
        &self,
        stream: &mut DataSetStream,
        frame: usize,
        fragments: &[(u64, u32)],
        stored: impl FnOnce(&[u8]),
    ) -> Result<Vec<f32>, PixelError> {
        let header = &self.header;
        let shape = FrameShape {
            columns: header.columns,
            rows: header.rows,
        };
        let scale = self.scale(frame);
        let length = header.frame_bytes();
        let compressed = read_fragments(stream, fragments)?;
        stored(&compressed);
        if !is_plausible(compressed.len() as u64, length) {
            return Err(PixelError::Implausible {
                found: compressed.len() as u64,
                expected: length,
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

fn update(digest: &mut Sha256, values: &[f32]) {
    for value in values {
        digest.update(value.to_bits().to_le_bytes());
    }
}

fn read_fragments(
    stream: &mut DataSetStream,
    fragments: &[(u64, u32)],
) -> Result<Vec<u8>, PixelError> {
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
