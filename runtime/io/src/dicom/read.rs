//! Reads the volume of a stack.

use std::collections::HashMap;
use std::sync::Arc;

use ndarray::Array4;
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use vesal_volume::Volume;
use vesal_volume::resample::resample_volume;

use crate::dicom::assessment::Assessment;
use crate::dicom::codec::DECODER_BYTES_PER_PIXEL;
use crate::dicom::content_digest::ContentDigest;
use crate::dicom::error::DicomError;
use crate::dicom::pixels::{FrameIndex, Image};
use crate::dicom::slice::Slice;
use crate::dicom::syntax::TransferSyntax;
use crate::image::ReadLimits;

/// Number of slices that are decoded together: voxels of neighboring slices are adjacent in memory.
const BLOCK_SLICES: usize = 16;

/// Edge of the tiles of rows and columns that are turned at once: a line of the cache.
const TILE: usize = 16;

impl Assessment {
    /// Reads the volume.
    ///
    /// **Shapes and units**: one channel `[1, X, Y, Z]` on the grid of [`Assessment::geometry`]: columns, rows, slices.
    /// Values are `stored × slope + intercept` of each slice, computed in `f32`: Hounsfield units of CT, the series'
    /// units of PET, arbitrary ones of MR. Padding values are not treated specially, and MONOCHROME1, which means an
    /// inverted display, does not change values. Converters to NIfTI do the same, so networks are trained on such
    /// values.
    ///
    /// **Memory**: besides the array, 16 slices, and per thread the decoding of one; where slices are resampled, a
    /// second array.
    ///
    /// **Errors**: [`DicomError::Refused`] for a stack without a volume; [`DicomError::TooLarge`] before memory is
    /// allocated; otherwise the error of a file.
    pub fn read(&self, limits: &ReadLimits) -> Result<Volume, DicomError> {
        let found = self.find_within(limits)?;
        let read = |slice: &Slice| Ok((found.read(slice)?, ()));
        Ok(self.assemble(read)?.0)
    }

    /// Reads the volume, and in the same pass the digest of its slices, on which the UIDs of results depend.
    ///
    /// **Errors**: as [`Assessment::read`].
    pub fn read_with_content(
        &self,
        limits: &ReadLimits,
    ) -> Result<(Volume, ContentDigest), DicomError> {
        let found = self.find_within(limits)?;
        let (volume, stored) = self.assemble(|slice| found.read_with_digest(slice))?;
        Ok((volume, ContentDigest::of(self.slices(), &stored)))
    }

    /// Checks the sizes of all arrays against `limits`, and finds the frames of images with several.
    fn find_within(&self, limits: &ReadLimits) -> Result<FrameIndexes, DicomError> {
        let layout = self.layout()?;
        self.check(layout.read, limits)?;
        self.check(layout.even.shape, limits)?;
        self.check(layout.target.shape, limits)?;
        self.find()
    }

    /// Assembles the volume from its frames; what else `read` gives comes in the order of the slices.
    fn assemble<T: Send>(
        &self,
        read: impl Fn(&Slice) -> Result<(Vec<f32>, T), DicomError> + Sync,
    ) -> Result<(Volume, Vec<T>), DicomError> {
        let layout = self.layout()?;
        let mut found = Vec::with_capacity(self.slices().len());
        let mut data = self.zeros(layout.read)?;
        let [columns, rows, slices] = layout.read;
        let blocks = self.slices().chunks(BLOCK_SLICES);
        for (start, block) in (0..).step_by(BLOCK_SLICES).zip(blocks) {
            let (frames, more): (Vec<Vec<f32>>, Vec<T>) = block
                .par_iter()
                .map(&read)
                .collect::<Result<Vec<_>, _>>()?
                .into_iter()
                .unzip();
            found.extend(more);
            turn(&frames, [columns, rows, slices], start, &mut data);
        }
        if let Some(blends) = &layout.blends {
            let even = self.zeros(layout.even.shape)?;
            let whole = std::mem::replace(&mut data, even);
            data.par_chunks_mut(blends.len())
                .zip(whole.par_chunks(slices))
                .for_each(|(even, line)| {
                    for (voxel, &(before, share)) in even.iter_mut().zip(blends) {
                        *voxel = match share {
                            0.0 => line[before],
                            1.0 => line[before + 1],
                            _ => line[before] + share * (line[before + 1] - line[before]),
                        };
                    }
                });
        }
        let [x, y, z] = layout.even.shape;
        let data = Array4::from_shape_vec((1, x, y, z), data)
            .map_err(|_| self.too_large(&layout.even.shape))?;
        let volume = Volume {
            data,
            affine: layout.even.affine,
        };
        if layout.target == layout.even {
            return Ok((volume, found));
        }
        let resampled = resample_volume(&volume, &layout.target);
        let failed = |reason| DicomError::Resample {
            series: self.series.clone(),
            reason,
        };
        Ok((resampled.map_err(failed)?, found))
    }

    /// Peak memory in bytes of [`Assessment::read`] with this many threads, the volume included; 0 for a refused stack.
    pub fn peak_bytes(&self, threads: usize) -> u64 {
        let (Ok(layout), Some(slice)) = (&self.outcome, self.slices().first()) else {
            return 0;
        };
        let array = |shape: [usize; 3]| {
            shape
                .iter()
                .fold(4_u64, |bytes, &n| bytes.saturating_mul(n as u64))
        };
        let [columns, rows, slices] = layout.read;
        let pixels = (columns * rows) as u64;
        let frames = 4 * pixels * slices.min(BLOCK_SLICES) as u64;
        let decoders = DECODER_BYTES_PER_PIXEL * pixels * threads.min(slices) as u64;
        // Fragments of frames that share a file, and bytes of those that are inflated together.
        let places = 48 * slice.image.header.frames.len() as u64;
        let inflated: u64 = self
            .images()
            .into_values()
            .filter(|image| {
                image.header.syntax == TransferSyntax::Deflated && image.header.frames.len() > 1
            })
            .map(|image| image.pixel_bytes())
            .fold(0, u64::saturating_add);
        let (read, even, target) = (
            array(layout.read),
            array(layout.even.shape),
            array(layout.target.shape),
        );
        let blended = if layout.blends.is_some() {
            read.saturating_add(even)
        } else {
            0
        };
        let straightened = if layout.target == layout.even {
            0
        } else {
            even.saturating_add(target)
        };
        read.saturating_add(frames + decoders + places)
            .saturating_add(inflated)
            .max(blended)
            .max(straightened)
    }

    fn check(&self, shape: [usize; 3], limits: &ReadLimits) -> Result<(), DicomError> {
        let needed = shape
            .iter()
            .fold(4_u64, |product, &n| product.saturating_mul(n as u64));
        if needed > limits.max_voxel_bytes {
            return Err(DicomError::TooLarge {
                series: self.series.clone(),
                needed,
                limit: limits.max_voxel_bytes,
            });
        }
        Ok(())
    }

    /// The images of the slices, by their addresses.
    fn images(&self) -> HashMap<*const Image, &Arc<Image>> {
        let images = self.slices().iter().map(|slice| &slice.image);
        images.map(|image| (Arc::as_ptr(image), image)).collect()
    }

    /// Finds the frames of images with several.
    fn find(&self) -> Result<FrameIndexes, DicomError> {
        let images = self.images().into_values();
        let several: Vec<&Arc<Image>> = images
            .filter(|image| image.header.frames.len() > 1)
            .collect();
        let found = several
            .into_par_iter()
            .map(|image| Ok((Arc::as_ptr(image) as usize, image.find()?)))
            .collect::<Result<_, DicomError>>()?;
        Ok(FrameIndexes(found))
    }

    fn zeros(&self, shape: [usize; 3]) -> Result<Vec<f32>, DicomError> {
        let voxels = shape.iter().product();
        // Only checks; zeroed memory is first touched by the threads that fill it.
        let mut asked = Vec::<f32>::new();
        asked
            .try_reserve_exact(voxels)
            .map_err(|_| self.too_large(&shape))?;
        drop(asked);
        Ok(vec![0.0; voxels])
    }

    fn too_large(&self, shape: &[usize]) -> DicomError {
        DicomError::OutOfMemory {
            series: self.series.clone(),
            bytes: 4 * shape.iter().product::<usize>() as u64,
        }
    }
}

/// Puts frames, row by row, into an array `[X, Y, Z]` of this shape, from slice `start` on.
fn turn(frames: &[Vec<f32>], [columns, rows, slices]: [usize; 3], start: usize, data: &mut [f32]) {
    data.par_chunks_mut(TILE * rows * slices)
        .enumerate()
        .for_each(|(index, slabs)| {
            let x_start = index * TILE;
            let x_count = TILE.min(columns - x_start);
            let mut tile = [[[0.0; TILE]; BLOCK_SLICES]; TILE];
            for y_start in (0..rows).step_by(TILE) {
                let y_count = TILE.min(rows - y_start);
                // Reads whole cache lines first, and then writes run by run along the slices.
                for (y, lines) in tile[..y_count].iter_mut().enumerate() {
                    let pixel = (y_start + y) * columns + x_start;
                    for (line, frame) in lines.iter_mut().zip(frames) {
                        let row = &frame[pixel..pixel + x_count];
                        match row.first_chunk() {
                            // A call would take longer than the copy.
                            Some(whole) => *line = *whole,
                            None => line[..x_count].copy_from_slice(row),
                        }
                    }
                }
                for (x, slab) in slabs.chunks_mut(rows * slices).enumerate() {
                    for (y, lines) in tile[..y_count].iter().enumerate() {
                        let run = &mut slab[(y_start + y) * slices + start..][..frames.len()];
                        for (voxel, line) in run.iter_mut().zip(lines) {
                            // The remainder has no effect but avoids a bounds check.
                            *voxel = line[x % TILE];
                        }
                    }
                }
            }
        });
}

/// Where the frames of multi-frame images are, by the images' addresses.
struct FrameIndexes(HashMap<usize, FrameIndex>);

impl FrameIndexes {
    fn read(&self, slice: &Slice) -> Result<Vec<f32>, DicomError> {
        self.read_stored(slice, |_| {})
    }

    /// Reads a frame with the digest of its stored bytes.
    fn read_with_digest(&self, slice: &Slice) -> Result<(Vec<f32>, [u8; 32]), DicomError> {
        let mut digest = [0; 32];
        let values = self.read_stored(slice, |stored| digest = Sha256::digest(stored).into())?;
        Ok((values, digest))
    }

    fn read_stored(
        &self,
        slice: &Slice,
        stored: impl FnOnce(&[u8]),
    ) -> Result<Vec<f32>, DicomError> {
        let image = &slice.image;
        match self.0.get(&(Arc::as_ptr(image) as usize)) {
            Some(found) => image.read_stored(slice.frame, found, stored),
            None => image.read_stored(slice.frame, &image.find()?, stored),
        }
    }
}
