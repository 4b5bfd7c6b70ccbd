//! Writes volumes and label maps as NIfTI-1.

use std::path::Path;

use ::nifti::NiftiType;
use flate2::Compression;
use ndarray::{ArrayView3, Axis, s};
use rayon::prelude::*;
use vesal_volume::{LabelMap, Volume};

use crate::image::blocks::{self, VoxelBlock};
use crate::nifti::error::NiftiError;
use crate::nifti::made_header::{header, volume_header};
use crate::nifti::output::NiftiOutput;
use crate::nifti::write_options::WriteOptions;

/// Label maps are compressed in half the time of level 5, which would make them smaller by a tenth to a third.
const LABEL_LEVEL: Compression = Compression::new(3);
/// Higher levels make probabilities smaller by less than a thousandth: their last digits are noise.
pub(super) const REAL_LEVEL: Compression = Compression::new(2);

/// Writes a label map as `.nii` or `.nii.gz`, by the name.
///
/// **Definition**: `uint8` if every label is at most 255, otherwise `uint16`; little-endian, unscaled. The sform is the
/// affine rounded to `f32`, which for an unchanged grid are the numbers of the header that it was read from. The qform
/// states the same, or has code 0 where it cannot because the axes are sheared.
///
/// **Errors**: [`NiftiError::Write`] for data that NIfTI-1 cannot express, [`NiftiError::Output`] if the file exists or
/// cannot be written. The destination is replaced atomically.
pub fn write_label_map(
    path: impl AsRef<Path>,
    label_map: &LabelMap,
    options: &WriteOptions,
) -> Result<(), NiftiError> {
    let path = path.as_ref();
    let shape = label_map.data.shape();
    if fits_bytes(label_map) {
        let header = header(shape, &label_map.affine, NiftiType::Uint8, options);
        let header = header.map_err(NiftiError::write(path))?;
        let output = NiftiOutput::new(path, options, &header, LABEL_LEVEL);
        output.write(|block, raw| {
            let labels = part(label_map.data.view(), block);
            blocks::encode(labels, raw, |label| [label as u8]);
            Ok(())
        })
    } else {
        let header = header(shape, &label_map.affine, NiftiType::Uint16, options);
        let header = header.map_err(NiftiError::write(path))?;
        let output = NiftiOutput::new(path, options, &header, LABEL_LEVEL);
        output.write(|block, raw| {
            let labels = part(label_map.data.view(), block);
            blocks::encode(labels, raw, u16::to_le_bytes);
            Ok(())
        })
    }
}

/// Whether every label is at most 255.
fn fits_bytes(label_map: &LabelMap) -> bool {
    let planes = 0..label_map.data.len_of(Axis(0));
    planes.into_par_iter().all(|x| {
        let plane = label_map.data.index_axis(Axis(0), x);
        // OR of all labels, without a branch, so that it vectorizes.
        let bits = match plane.as_slice() {
            Some(plane) => plane.iter().fold(0, |bits, label| bits | label),
            None => plane.iter().fold(0, |bits, label| bits | label),
        };
        bits <= 255
    })
}

/// Writes regions that may overlap as `.nii` or `.nii.gz`, by the name: one mask per region.
///
/// **Shapes**: a map `[X, Y, Z]` of bits → `[X, Y, Z, R]`, also where there is one region; mask `r` is 1 in the voxels
/// that hold the bits of `regions[r]`.
///
/// **Definition**: `uint8`, unscaled; the affine as [`write_label_map`] does.
///
/// **Errors**: as [`write_label_map`].
pub fn write_regions(
    path: impl AsRef<Path>,
    map: &LabelMap,
    regions: &[u16],
    options: &WriteOptions,
) -> Result<(), NiftiError> {
    let path = path.as_ref();
    let (x, y, z) = map.data.dim();
    let shape = [x, y, z, regions.len()];
    let header = header(&shape, &map.affine, NiftiType::Uint8, options);
    let header = header.map_err(NiftiError::write(path))?;
    let output = NiftiOutput::new(path, options, &header, LABEL_LEVEL);
    output.write(|block, raw| {
        let region = regions[block.frame];
        let bits = part(map.data.view(), block);
        blocks::encode(bits, raw, |bits| [u8::from(bits & region != 0)]);
        Ok(())
    })
}

/// Writes a volume as `.nii` or `.nii.gz`, by the name.
///
/// **Shapes and units**: one channel as `[X, Y, Z]`, several as `[X, Y, Z, C]`.
///
/// **Definition**: `float32`, little-endian, unscaled; the affine as [`write_label_map`] does.
///
/// **Errors**: as [`write_label_map`].
pub fn write_volume(
    path: impl AsRef<Path>,
    volume: &Volume,
    options: &WriteOptions,
) -> Result<(), NiftiError> {
    let path = path.as_ref();
    let (channels, x, y, z) = volume.data.dim();
    let header = volume_header([channels, x, y, z], &volume.affine, options);
    let header = header.map_err(NiftiError::write(path))?;
    let output = NiftiOutput::new(path, options, &header, REAL_LEVEL);
    output.write(|block, raw| {
        let channel = volume.data.index_axis(Axis(0), block.frame);
        blocks::encode(part(channel, block), raw, f32::to_le_bytes);
        Ok(())
    })
}

/// Writes a volume of one channel as `.nii` or `.nii.gz`, by the name, in the smallest type that holds its voxels.
///
/// **Shapes and units**: `[1, X, Y, Z]` as `[X, Y, Z]`; of several channels, each as a grid.
///
/// **Definition**: `int16` if every voxel is a whole number from -32768 to 32767, as stored values of scanners are;
/// otherwise `float32`. Both are read back as the same numbers.
///
/// **Errors**: as [`write_label_map`].
pub fn write_smallest(
    path: impl AsRef<Path>,
    volume: &Volume,
    options: &WriteOptions,
) -> Result<(), NiftiError> {
    let path = path.as_ref();
    let (channels, x, y, z) = volume.data.dim();
    if channels != 1 || !fits_shorts(volume) {
        return write_volume(path, volume, options);
    }
    let header = header(&[x, y, z], &volume.affine, NiftiType::Int16, options);
    let header = header.map_err(NiftiError::write(path))?;
    let output = NiftiOutput::new(path, options, &header, REAL_LEVEL);
    output.write(|block, raw| {
        let voxels = volume.data.index_axis(Axis(0), block.frame);
        blocks::encode(part(voxels, block), raw, |voxel| {
            (voxel as i16).to_le_bytes()
        });
        Ok(())
    })
}

/// Whether every voxel is a whole number of 16 bits.
fn fits_shorts(volume: &Volume) -> bool {
    let planes = 0..volume.data.len_of(Axis(1));
    // The conversion saturates, and NaN becomes 0; without a branch, so that it vectorizes.
    let fits = |fits: bool, voxel: &f32| fits & (f32::from(*voxel as i16) == *voxel);
    planes.into_par_iter().all(|x| {
        let plane = volume.data.index_axis(Axis(1), x);
        match plane.as_slice() {
            Some(plane) => plane.iter().fold(true, fits),
            None => plane.iter().fold(true, fits),
        }
    })
}

/// The voxels of a block.
fn part<'a, T>(frame: ArrayView3<'a, T>, block: &VoxelBlock) -> ArrayView3<'a, T> {
    frame.slice_move(s![.., block.y.clone(), block.z.clone()])
}
