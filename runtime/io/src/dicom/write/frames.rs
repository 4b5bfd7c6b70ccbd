//! The pixels of segmentations.

use rayon::prelude::*;

use crate::dicom::write::error::DicomWriteError;
use crate::dicom::write::grid::Planes;
use crate::dicom::write::output::DicomOutput;
use crate::dicom::write::planes::{PlaneBlock, SegmentExtent, SegmentLookup};
use crate::dicom::write::rle;

/// Data from which the frames of a segmentation are made.
pub(super) struct FramePixels<'a> {
    pub planes: Planes<'a>,
    pub lookup: SegmentLookup,
    /// The segments in each plane that have a frame there.
    pub present: Vec<Vec<SegmentExtent>>,
    pub segments: usize,
}

impl FramePixels<'_> {
    fn pixels(&self) -> u64 {
        self.planes.columns() as u64 * self.planes.rows() as u64
    }

    /// Bytes of the bits of all frames of a binary segmentation, an even number.
    pub fn binary_bytes(&self) -> u64 {
        let frames: usize = self.present.iter().map(Vec::len).sum();
        let bits = self.pixels().saturating_mul(frames as u64);
        bits.div_ceil(8).next_multiple_of(2)
    }

    /// Writes a frame of bits for each segment of each plane, without gaps between frames (PS3.5 8.1.1).
    pub fn write_binary(&self, output: &mut DicomOutput) -> Result<(), DicomWriteError> {
        let length = self.binary_bytes();
        output.pixels(Some(length as u32))?;
        let pixels = self.pixels() as usize;
        // Frames follow each other without a gap, so a byte may hold the end of one and the start of the next.
        let (mut frames, mut carried) = (0_usize, 0_u8);
        for block in self.planes.blocks() {
            let starts: Vec<usize> = self.present[block.planes.clone()]
                .iter()
                .scan(frames, |frames, present| {
                    let start = *frames;
                    *frames += present.len();
                    Some(start)
                })
                .collect();
            let packed: Vec<Vec<u8>> = block
                .planes
                .clone()
                .into_par_iter()
                .zip(&starts)
                .map(|(plane, start)| {
                    let shift = (start % 8) * (pixels % 8) % 8;
                    self.pack(&block, plane, shift)
                })
                .collect();
            for (plane, mut bytes) in block.planes.clone().zip(packed) {
                frames += self.present[plane].len();
                let Some(first) = bytes.first_mut() else {
                    continue;
                };
                *first |= carried;
                carried = 0;
                if !((frames % 8) * (pixels % 8)).is_multiple_of(8) {
                    carried = bytes.pop().unwrap_or(0);
                }
                output.bytes(&bytes)?;
            }
        }
        let bits = pixels as u64 * frames as u64;
        if !bits.is_multiple_of(8) {
            output.bytes(&[carried])?;
        }
        if !bits.div_ceil(8).is_multiple_of(2) {
            output.bytes(&[0])?;
        }
        Ok(())
    }

    /// The bits of a plane's frames, behind `shift` bits that belong to the plane before.
    fn pack(&self, block: &PlaneBlock, plane: usize, shift: usize) -> Vec<u8> {
        let present = &self.present[plane];
        let pixels = self.pixels() as usize;
        let mut starts = vec![0; self.segments];
        for (index, present) in present.iter().enumerate() {
            starts[usize::from(present.segment)] = shift + index * pixels;
        }
        if present.is_empty() {
            return Vec::new();
        }
        let mut bytes = vec![0_u8; (shift + present.len() * pixels).div_ceil(8)];
        let values = block.rows(plane).flatten();
        for (pixel, value) in values.enumerate() {
            self.lookup.each(*value, |segment| {
                let bit = starts[usize::from(segment)] + pixel;
                bytes[bit / 8] |= 1 << (bit % 8);
            });
        }
        bytes
    }

    /// Writes a run-length encoded frame of values, of 8 or 16 bits, for each plane that has a segment.
    pub fn write_label_map(
        &self,
        output: &mut DicomOutput,
        bits_allocated: u16,
    ) -> Result<(), DicomWriteError> {
        output.pixels(None)?;
        let columns = self.planes.columns();
        let bytes = usize::from(bits_allocated / 8);
        for block in self.planes.blocks() {
            let fragments: Vec<Vec<u8>> = block
                .planes
                .clone()
                .into_par_iter()
                .filter(|plane| !self.present[*plane].is_empty())
                .map(|plane| {
                    let values: Vec<u16> = block.rows(plane).flatten().copied().collect();
                    rle::encode(&values, columns, bytes)
                })
                .collect();
            for fragment in fragments {
                output.fragment(&fragment)?;
            }
        }
        output.end_sequence()
    }
}

/// Adds empty frames until the bits of all frames fill an even number of bytes.
///
/// Pixel data has an even length. cornerstone3D 5 refuses padded data, or, where the lengths agree, assumes that frames
/// begin at whole bytes and displays them displaced.
pub(super) fn fill_up(present: &mut [Vec<SegmentExtent>], segments: u16, pixels: usize) {
    let unused = (8 - pixels % 8) % 8;
    let is_plain = |frames: usize| {
        let last = frames * (pixels % 16) % 16;
        let bytes_even = last == 0 || last > 8;
        bytes_even && (frames == 1 || unused == 0 || frames * unused >= 8)
    };
    let mut frames = present.iter().map(Vec::len).sum();
    for plane in present {
        for segment in 0..segments {
            if is_plain(frames) {
                return;
            }
            let place = plane.partition_point(|one| one.segment < segment);
            if plane.get(place).is_none_or(|one| one.segment != segment) {
                plane.insert(place, SegmentExtent::nothing(segment));
                frames += 1;
            }
        }
    }
}
