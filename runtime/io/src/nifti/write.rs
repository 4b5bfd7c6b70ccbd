//! Writes volumes and label maps as NIfTI-1.

use std::path::Path;

use ::nifti::{NiftiHeader, NiftiType, XForm};
use flate2::Compression;
use ndarray::{ArrayView3, Axis, s};
use rayon::prelude::*;
use vesal_volume::{Affine, LabelMap, Volume};

use crate::nifti::affine;
use crate::nifti::blocks::{self, Block, Layout};
use crate::nifti::error::{NiftiError, WriteError};
use crate::nifti::output::Output;

/// Where the voxels start: after the header and four bytes that announce no extensions.
const VOXEL_OFFSET: u16 = 352;
/// Label maps: the next level saves a twentieth and takes half as long again; two levels below it is twice as fast and
/// a tenth to a third larger.
const LABEL_LEVEL: Compression = Compression::new(5);
/// Real numbers: their last digits are noise, which no higher level makes smaller.
pub(super) const REAL_LEVEL: Compression = Compression::new(2);

/// How to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriteOptions {
    /// Whether an existing file may be replaced.
    pub overwrite: bool,
    /// Which world the affine leads to: the `space` of the header that the grid comes from. Unknown is written as
    /// aligned, because a reader would otherwise not use the affine.
    pub space: XForm,
}

impl Default for WriteOptions {
    /// Replaces nothing; the world is aligned to another file's.
    fn default() -> Self {
        Self {
            overwrite: false,
            space: XForm::AlignedAnat,
        }
    }
}

/// Writes a label map as `.nii` or `.nii.gz`, by the name.
///
/// **Definition**: `uint8` if every label is at most 255, otherwise `uint16`; little-endian, unscaled. The sform is the
/// affine rounded to `f32`, hence the very numbers of the header that an unchanged grid was read from. The qform says
/// the same, and has code 0 where it cannot, because the axes are sheared.
///
/// **Errors**: [`NiftiError::Write`] for what NIfTI-1 cannot hold, [`NiftiError::Output`] if the file exists or cannot
/// be written. The destination never holds half a file.
pub fn write_label_map(
    path: impl AsRef<Path>,
    label_map: &LabelMap,
    options: &WriteOptions,
) -> Result<(), NiftiError> {
    let path = path.as_ref();
    let shape = label_map.data.shape();
    let space = options.space;
    if fits_bytes(label_map) {
        let header = header(shape, &label_map.affine, NiftiType::Uint8, space);
        let header = header.map_err(NiftiError::write(path))?;
        let output = output(path, options, &header, LABEL_LEVEL);
        output.write(|block, raw| {
            let labels = part(label_map.data.view(), block);
            blocks::encode(labels, raw, |label| [label as u8]);
            Ok(())
        })
    } else {
        let header = header(shape, &label_map.affine, NiftiType::Uint16, space);
        let header = header.map_err(NiftiError::write(path))?;
        let output = output(path, options, &header, LABEL_LEVEL);
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
        plane.iter().all(|&label| label <= 255)
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
    let header = header(&shape, &map.affine, NiftiType::Uint8, options.space);
    let header = header.map_err(NiftiError::write(path))?;
    let output = output(path, options, &header, LABEL_LEVEL);
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
    let output = output(path, options, &header, REAL_LEVEL);
    output.write(|block, raw| {
        let channel = volume.data.index_axis(Axis(0), block.frame);
        blocks::encode(part(channel, block), raw, f32::to_le_bytes);
        Ok(())
    })
}

/// The header of a volume of this shape `[C, X, Y, Z]`.
pub(super) fn volume_header(
    [channels, x, y, z]: [usize; 4],
    affine: &Affine,
    options: &WriteOptions,
) -> Result<NiftiHeader, WriteError> {
    let all = [x, y, z, channels];
    let shape = if channels == 1 { &all[..3] } else { &all[..] };
    header(shape, affine, NiftiType::Float32, options.space)
}

/// The file of a header that was made here.
pub(super) fn output<'a>(
    path: &'a Path,
    options: &'a WriteOptions,
    header: &'a NiftiHeader,
    level: Compression,
) -> Output<'a> {
    let [_, x, y, z, frames, ..] = header.dim.map(usize::from);
    Output {
        path,
        options,
        header,
        layout: Layout {
            shape: [x, y, z],
            frames,
            voxel_bytes: header.bitpix as usize / 8,
        },
        level,
    }
}

/// The voxels of a block.
fn part<'a, T>(frame: ArrayView3<'a, T>, block: &Block) -> ArrayView3<'a, T> {
    frame.slice_move(s![.., block.y.clone(), block.z.clone()])
}

fn header(
    shape: &[usize],
    affine: &Affine,
    data_type: NiftiType,
    space: XForm,
) -> Result<NiftiHeader, WriteError> {
    let mut dim = [1; 8];
    dim[0] = shape.len() as u16;
    for (axis, &found) in shape.iter().enumerate() {
        match u16::try_from(found) {
            Ok(length @ 1..=0x7fff) => dim[axis + 1] = length,
            _ => {
                return Err(WriteError::AxisLength {
                    axis,
                    found,
                    shape: shape.to_vec(),
                });
            }
        }
    }
    let rows = affine.0.map(|row| row.map(|entry| entry as f32));
    // What counts is what a reader will find.
    let stored = Affine(rows.map(|row| row.map(f64::from)));
    affine::check(&stored).map_err(|defect| WriteError::Affine { defect })?;
    let qform = affine::qform_of(&stored);
    let [quatern_b, quatern_c, quatern_d] = qform.quaternion.map(|part| part as f32);
    let [x_mm, y_mm, z_mm] = stored.spacing().map(|length| length as f32);
    let code = if space == XForm::Unknown {
        XForm::AlignedAnat
    } else {
        space
    } as i16;
    let mut descrip = b"Vesal".to_vec();
    descrip.resize(80, 0);
    Ok(NiftiHeader {
        regular: b'r',
        dim,
        datatype: data_type as i16,
        bitpix: 8 * data_type.size_of() as i16,
        pixdim: [
            qform.handedness as f32,
            x_mm,
            y_mm,
            z_mm,
            1.0,
            1.0,
            1.0,
            1.0,
        ],
        vox_offset: VOXEL_OFFSET.into(),
        scl_slope: 1.0,
        scl_inter: 0.0,
        // Millimeters and seconds.
        xyzt_units: 2 | 8,
        descrip,
        qform_code: if qform.exact { code } else { 0 },
        sform_code: code,
        quatern_b,
        quatern_c,
        quatern_d,
        quatern_x: rows[0][3],
        quatern_y: rows[1][3],
        quatern_z: rows[2][3],
        srow_x: rows[0],
        srow_y: rows[1],
        srow_z: rows[2],
        magic: *b"n+1\0",
        ..NiftiHeader::default()
    })
}

/// The 348 bytes of a NIfTI-1 header, little-endian, and four that announce no extensions.
pub(super) fn encode_header(header: &NiftiHeader) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(usize::from(VOXEL_OFFSET));
    let i16s = |bytes: &mut Vec<u8>, values: &[i16]| {
        values
            .iter()
            .for_each(|value| bytes.extend(value.to_le_bytes()));
    };
    let f32s = |bytes: &mut Vec<u8>, values: &[f32]| {
        values
            .iter()
            .for_each(|value| bytes.extend(value.to_le_bytes()));
    };
    bytes.extend(header.sizeof_hdr.to_le_bytes());
    bytes.extend(header.data_type);
    bytes.extend(header.db_name);
    bytes.extend(header.extents.to_le_bytes());
    i16s(&mut bytes, &[header.session_error]);
    bytes.extend([header.regular, header.dim_info]);
    header
        .dim
        .iter()
        .for_each(|length| bytes.extend(length.to_le_bytes()));
    f32s(
        &mut bytes,
        &[header.intent_p1, header.intent_p2, header.intent_p3],
    );
    i16s(
        &mut bytes,
        &[
            header.intent_code,
            header.datatype,
            header.bitpix,
            header.slice_start,
        ],
    );
    f32s(&mut bytes, &header.pixdim);
    f32s(
        &mut bytes,
        &[header.vox_offset, header.scl_slope, header.scl_inter],
    );
    i16s(&mut bytes, &[header.slice_end]);
    bytes.extend([header.slice_code, header.xyzt_units]);
    f32s(
        &mut bytes,
        &[
            header.cal_max,
            header.cal_min,
            header.slice_duration,
            header.toffset,
        ],
    );
    bytes.extend(header.glmax.to_le_bytes());
    bytes.extend(header.glmin.to_le_bytes());
    bytes.extend(&header.descrip);
    bytes.extend(header.aux_file);
    i16s(&mut bytes, &[header.qform_code, header.sform_code]);
    f32s(
        &mut bytes,
        &[header.quatern_b, header.quatern_c, header.quatern_d],
    );
    f32s(
        &mut bytes,
        &[header.quatern_x, header.quatern_y, header.quatern_z],
    );
    for row in [&header.srow_x, &header.srow_y, &header.srow_z] {
        f32s(&mut bytes, row);
    }
    bytes.extend(header.intent_name);
    bytes.extend(header.magic);
    bytes.extend([0; 4]);
    bytes
}
