//! Makes and encodes the header of a file that is written.

use ::nifti::{NiftiHeader, NiftiType, XForm};
use vesal_volume::Affine;

use crate::image::affine::check;
use crate::nifti::affine;
use crate::nifti::error::NiftiWriteError;
use crate::nifti::write_options::WriteOptions;

/// Where the voxels start: after the header and four bytes that announce no extensions.
const VOXEL_OFFSET: u16 = 352;

/// The header of a volume of this shape `[C, X, Y, Z]`.
pub(super) fn volume_header(
    [channels, x, y, z]: [usize; 4],
    affine: &Affine,
    options: &WriteOptions,
) -> Result<NiftiHeader, NiftiWriteError> {
    let all = [x, y, z, channels];
    let shape = if channels == 1 { &all[..3] } else { &all[..] };
    header(shape, affine, NiftiType::Float32, options)
}

/// The header of a grid of this shape.
pub(super) fn header(
    shape: &[usize],
    affine: &Affine,
    data_type: NiftiType,
    options: &WriteOptions,
) -> Result<NiftiHeader, NiftiWriteError> {
    let mut dim = [1; 8];
    dim[0] = shape.len() as u16;
    for (axis, &found) in shape.iter().enumerate() {
        match u16::try_from(found) {
            Ok(length @ 1..=0x7fff) => dim[axis + 1] = length,
            _ => {
                return Err(NiftiWriteError::AxisLength {
                    axis,
                    found,
                    shape: shape.to_vec(),
                });
            }
        }
    }
    let rows = affine.0.map(|row| row.map(|entry| entry as f32));
    // Checked after rounding, as a reader will get it.
    let stored = Affine(rows.map(|row| row.map(f64::from)));
    check(&stored).map_err(|defect| NiftiWriteError::Affine { defect })?;
    let qform = affine::qform_of(&stored);
    let [quatern_b, quatern_c, quatern_d] = qform.quaternion.map(|part| part as f32);
    let [x_mm, y_mm, z_mm] = stored.spacing().map(|length| length as f32);
    let code = match options.space {
        XForm::Unknown => XForm::AlignedAnat,
        space => space,
    } as i16;
    let mut descrip = b"Vesal".to_vec();
    if let Some(remarks) = options.remarks.text() {
        descrip.extend(b"; ");
        descrip.extend(remarks.as_bytes());
    }
    // The last byte ends the text.
    descrip.truncate(79);
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
