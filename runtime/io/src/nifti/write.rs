//! Writes volumes and label maps as NIfTI-1.

use std::io::{self, Write};
use std::path::Path;

use ::nifti::{NiftiHeader, NiftiType, XForm};
use flate2::Compression;
use flate2::write::GzEncoder;
use ndarray::{ArrayView3, Axis, s};
use vesal_volume::{Affine, LabelMap, Volume};

use crate::atomic::{AtomicError, AtomicFile};
use crate::nifti::affine;
use crate::nifti::error::{NiftiError, WriteError};
use crate::sniff::split_extension;

/// Where the voxels start: after the header and four bytes that announce no extensions.
const VOXEL_OFFSET: u16 = 352;
/// The next level saves less than a tenth and takes two to three times as long, on label maps and images alike.
const GZIP_LEVEL: u32 = 5;
/// Slices along Z that are turned to the order of the file at once.
const SLAB: usize = 32;

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
    if label_map.data.iter().all(|&label| label <= 255) {
        let header = header(shape, &label_map.affine, NiftiType::Uint8, options.space);
        let header = header.map_err(NiftiError::write(path))?;
        write(path, options, &header, |out| {
            encode(out, label_map.data.view(), |label| [label as u8])
        })
    } else {
        let header = header(shape, &label_map.affine, NiftiType::Uint16, options.space);
        let header = header.map_err(NiftiError::write(path))?;
        write(path, options, &header, |out| {
            encode(out, label_map.data.view(), u16::to_le_bytes)
        })
    }
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
    write(path, options, &header, |out| {
        regions.iter().try_for_each(|region| {
            encode(out, map.data.view(), |bits| [u8::from(bits & region != 0)])
        })
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
    let all = [x, y, z, channels];
    let shape = if channels == 1 { &all[..3] } else { &all[..] };
    let header = header(shape, &volume.affine, NiftiType::Float32, options.space);
    let header = header.map_err(NiftiError::write(path))?;
    write(path, options, &header, |out| {
        volume
            .data
            .axis_iter(Axis(0))
            .try_for_each(|channel| encode(out, channel, f32::to_le_bytes))
    })
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

/// Writes the header, four bytes and what `voxels` writes, compressed if the name says so.
fn write(
    path: &Path,
    options: &WriteOptions,
    header: &NiftiHeader,
    voxels: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), NiftiError> {
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy())
        .unwrap_or_default();
    let gzip = match split_extension(&name) {
        Some((_, written, gzip)) if written.eq_ignore_ascii_case("nii") => gzip,
        _ => return Err(NiftiError::write(path)(WriteError::Name)),
    };
    let failed = |reason| AtomicError::Io {
        path: path.to_owned(),
        reason,
    };
    let mut file = AtomicFile::create(path, options.overwrite)?;
    let content = |out: &mut dyn Write| {
        out.write_all(&encode_header(header))?;
        out.write_all(&[0; 4])?;
        voxels(out)
    };
    if gzip {
        let mut encoder = GzEncoder::new(&mut file, Compression::new(GZIP_LEVEL));
        content(&mut encoder).map_err(failed)?;
        encoder.finish().map_err(failed)?;
    } else {
        content(&mut file).map_err(failed)?;
    }
    Ok(file.commit()?)
}

/// Writes one frame in the order of the file, X fastest.
fn encode<T: Copy, const N: usize>(
    out: &mut dyn Write,
    frame: ArrayView3<'_, T>,
    bytes_of: impl Fn(T) -> [u8; N],
) -> io::Result<()> {
    let (x_len, y_len, z_len) = frame.dim();
    let mut buffer = vec![0; x_len * y_len * SLAB.min(z_len) * N];
    for z_start in (0..z_len).step_by(SLAB) {
        let slab = frame.slice(s![.., .., z_start..(z_start + SLAB).min(z_len)]);
        // Y outside, X inside: neighbors in the buffer are written one after the other.
        for (y, plane) in slab.axis_iter(Axis(1)).enumerate() {
            for (x, row) in plane.outer_iter().enumerate() {
                for (z, &value) in row.iter().enumerate() {
                    let to = ((z * y_len + y) * x_len + x) * N;
                    buffer[to..to + N].copy_from_slice(&bytes_of(value));
                }
            }
        }
        out.write_all(&buffer[..slab.len() * N])?;
    }
    Ok(())
}

/// The 348 bytes of a NIfTI-1 header, little-endian.
fn encode_header(header: &NiftiHeader) -> Vec<u8> {
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
    bytes
}
