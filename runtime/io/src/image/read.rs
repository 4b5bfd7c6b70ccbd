//! Reads the stored voxels of an image into arrays.

use std::path::Path;

use ndarray::{Array3, Array4};
use vesal_volume::{LabelMap, Volume};

use crate::image::blocks::{self, VoxelBlock};
use crate::image::decode::{self, InvalidLabels};
use crate::image::error::{ImageError, VoxelError};
use crate::image::format::{OpenedImage, Voxels};
use crate::image::header::VolumeHeader;

/// Limits on the memory for a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadLimits {
    /// Bytes of the voxels of a file, as stored (with what precedes them) or as `f32`, whichever is more.
    pub max_voxel_bytes: u64,
}

impl Default for ReadLimits {
    /// 64 GiB: more than any scanner makes, less than an absurd header states.
    fn default() -> Self {
        Self {
            max_voxel_bytes: 64 << 30,
        }
    }
}

/// Reads the one scalar grid.
pub(crate) fn volume(opened: OpenedImage, limits: &ReadLimits) -> Result<Volume, ImageError> {
    one_frame(&opened)?;
    frames(opened, limits)
}

/// Reads the channels: the entries of the one dimension beside the grid's that has several.
pub(crate) fn channels(opened: OpenedImage, limits: &ReadLimits) -> Result<Volume, ImageError> {
    if opened.header.frame_axes > 1 {
        let shape = opened.header.dimensions;
        return Err(ImageError::voxels(&opened.path)(VoxelError::ChannelAxes {
            shape,
        }));
    }
    frames(opened, limits)
}

/// Reads the one grid as labels.
pub(crate) fn label_map(opened: OpenedImage, limits: &ReadLimits) -> Result<LabelMap, ImageError> {
    one_frame(&opened)?;
    let (header, voxels) = source(opened, limits)?;
    let row = decode::labels(&header);
    let layout = header.stored();
    let mut others = InvalidLabels::default();
    let path = voxels.path.clone();
    let labels = decoded(&header, voxels, |raw, block, frame| {
        if !blocks::decode(raw, &layout, block, frame, &row) {
            others.add(raw, block, &header);
        }
    })?;
    if let Some(reason) = others.error(labels.len()) {
        return Err(ImageError::Labels { path, reason });
    }
    let data = Array3::from_shape_vec(header.geometry.shape, labels)
        .map_err(|_| short_of_voxels(&path, &header))?;
    Ok(LabelMap {
        data,
        affine: header.geometry.affine,
    })
}

/// Refuses a file of several frames.
fn one_frame(opened: &OpenedImage) -> Result<(), ImageError> {
    let VolumeHeader {
        dimensions, frames, ..
    } = &opened.header;
    if *frames == 1 {
        return Ok(());
    }
    Err(ImageError::voxels(&opened.path)(VoxelError::Frames {
        shape: dimensions.clone(),
        frames: *frames,
    }))
}

fn frames(opened: OpenedImage, limits: &ReadLimits) -> Result<Volume, ImageError> {
    let (header, voxels) = source(opened, limits)?;
    let row = decode::intensities(&header);
    let layout = header.stored();
    let path = voxels.path.clone();
    let values = decoded(&header, voxels, |raw, block, frame| {
        blocks::decode(raw, &layout, block, frame, &row);
    })?;
    let [x, y, z] = header.geometry.shape;
    let short = |_| short_of_voxels(&path, &header);
    let data = if header.interleaved {
        let by_voxel = Array4::from_shape_vec((x, header.frames, y, z), values).map_err(short)?;
        let by_frame = by_voxel.view().permuted_axes([1, 0, 2, 3]);
        by_frame.as_standard_layout().into_owned()
    } else {
        Array4::from_shape_vec((header.frames, x, y, z), values).map_err(short)?
    };
    Ok(Volume {
        data,
        affine: header.geometry.affine,
    })
}

/// Reads all voxels: `decode` turns the bytes of a block into its frame while the next block is read.
fn decoded<O: Copy + Default + Send>(
    header: &VolumeHeader,
    voxels: Voxels,
    mut decode: impl FnMut(&[u8], &VoxelBlock, &mut [O]) + Send,
) -> Result<Vec<O>, ImageError> {
    let Voxels {
        path,
        stream: mut stored,
    } = voxels;
    let layout = header.stored();
    let mut blocks = layout.blocks();
    let Some(mut block) = blocks.next() else {
        return Err(short_of_voxels(&path, header));
    };
    let mut raw = vec![0; layout.bytes_of(&block)];
    let mut ahead = Vec::new();
    stored.fill(&mut raw)?;
    // Memory for all voxels is allocated only once a block was read and the file can hold the rest.
    stored.check_rest()?;
    let mut values = zeros::<O>(header).map_err(ImageError::voxels(&path))?;
    let frame = values.len() / layout.frames;
    loop {
        let values = &mut values[block.frame * frame..][..frame];
        let Some(next) = blocks.next() else {
            let (end, ()) = rayon::join(|| stored.finish(), || decode(&raw, &block, values));
            end?;
            break;
        };
        ahead.resize(layout.bytes_of(&next), 0);
        let (read, ()) = rayon::join(|| stored.fill(&mut ahead), || decode(&raw, &block, values));
        read?;
        std::mem::swap(&mut raw, &mut ahead);
        block = next;
    }
    Ok(values)
}

/// Opens the stored voxels, unless they exceed the limits.
pub(crate) fn source(
    opened: OpenedImage,
    limits: &ReadLimits,
) -> Result<(VolumeHeader, Voxels), ImageError> {
    let OpenedImage {
        header,
        path,
        voxels,
    } = opened;
    let decoded = header.voxels() * size_of::<f32>() as u64;
    let needed = decoded.max(header.voxel_offset + header.voxel_bytes);
    if needed > limits.max_voxel_bytes {
        let limit = limits.max_voxel_bytes;
        return Err(ImageError::voxels(&path)(VoxelError::TooLarge {
            needed,
            limit,
        }));
    }
    Ok((header, voxels()?))
}

/// Memory for all voxels. The system provides pages on first write, so the decoding threads touch them.
fn zeros<O: Copy + Default>(header: &VolumeHeader) -> Result<Vec<O>, VoxelError> {
    let too_much = || VoxelError::OutOfMemory {
        bytes: header.voxels().saturating_mul(size_of::<O>() as u64),
    };
    let voxels = usize::try_from(header.voxels()).map_err(|_| too_much())?;
    // `vec![0; n]` would abort the program without memory.
    Vec::<O>::new()
        .try_reserve_exact(voxels)
        .map_err(|_| too_much())?;
    Ok(vec![O::default(); voxels])
}

/// The error where the number of decoded voxels differs from the header.
fn short_of_voxels(path: &Path, header: &VolumeHeader) -> ImageError {
    ImageError::voxels(path)(VoxelError::Truncated {
        found: 0,
        expected: header.voxel_bytes,
    })
}
