//! All variants of correct NIfTI files.

use crate::synthetic::{Fields, gzip, save};
use vesal_io::image::{
    self, ByteOrder, ImageError, ImageFile, OpenOptions, ReadLimits, VoxelError, read_channels,
    read_label_map, read_volume,
};
use vesal_io::nifti::{AffineSource, NiftiLayout, NiftiVersion, XForm, read_header};
use vesal_io::sniff::{Content, sniff};
use vesal_volume::Affine;

/// Values of a 3×4×5 grid in the order of the file, X fastest: different everywhere, none symmetric.
fn ramp() -> Vec<i16> {
    (0..60).collect()
}

fn encode(code: i16, value: i16, big: bool) -> Vec<u8> {
    let mut bytes = match code {
        2 => vec![value as u8],
        256 => vec![value as i8 as u8],
        4 => value.to_le_bytes().to_vec(),
        512 => (value as u16).to_le_bytes().to_vec(),
        8 => i32::from(value).to_le_bytes().to_vec(),
        768 => (value as u32).to_le_bytes().to_vec(),
        1024 => i64::from(value).to_le_bytes().to_vec(),
        1280 => (value as u64).to_le_bytes().to_vec(),
        16 => f32::from(value).to_le_bytes().to_vec(),
        64 => f64::from(value).to_le_bytes().to_vec(),
        _ => unreachable!("a code of the list"),
    };
    if big {
        bytes.reverse();
    }
    bytes
}

const CODES: [i16; 10] = [2, 256, 4, 512, 8, 768, 1024, 1280, 16, 64];

#[test]
fn every_type_order_version_and_container_reads_alike() {
    let directory = tempfile::tempdir().unwrap();
    let mut count = 0;
    for code in CODES {
        for big in [false, true] {
            for version in [1, 2] {
                let voxels: Vec<u8> = ramp()
                    .into_iter()
                    .flat_map(|value| encode(code, value, big))
                    .collect();
                let bits = 8 * encode(code, 0, big).len() as i16;
                let single = Fields {
                    data_type: code,
                    bits,
                    big,
                    ..Fields::default()
                }
                .version(version);
                let pair = Fields {
                    pair: true,
                    voxel_offset: 0.0,
                    ..single.clone()
                };
                save(directory.path(), "a.nii", &single.single(&voxels));
                save(directory.path(), "b.nii.gz", &gzip(&single.single(&voxels)));
                save(directory.path(), "c.hdr", &pair.header());
                save(directory.path(), "c.img", &voxels);
                save(directory.path(), "d.hdr.gz", &gzip(&pair.header()));
                save(directory.path(), "d.img.gz", &gzip(&voxels));
                save(directory.path(), "e.hdr", &pair.header());
                save(directory.path(), "e.img.gz", &gzip(&voxels));
                for name in [
                    "a.nii", "b.nii.gz", "c.hdr", "c.img", "d.hdr.gz", "d.img.gz", "e.hdr",
                ] {
                    let path = directory.path().join(name);
                    let volume = read_volume(&path).unwrap();
                    assert_eq!(volume.data.dim(), (1, 3, 4, 5));
                    assert_eq!(volume.affine, Affine::IDENTITY);
                    let labels = read_label_map(&path).unwrap();
                    for ((x, y, z), &label) in labels.data.indexed_iter() {
                        assert_eq!(
                            usize::from(label),
                            x + 3 * (y + 4 * z),
                            "{name} {code} {big} {version}"
                        );
                        assert_eq!(volume.data[[0, x, y, z]], f32::from(label));
                    }
                    let header = read_header(&path).unwrap();
                    assert_eq!(header.byte_order == ByteOrder::Big, big);
                    assert_eq!(header.version == NiftiVersion::Nifti2, version == 2);
                    assert_eq!(header.voxel_bytes, 60 * u64::from(bits.unsigned_abs()) / 8);
                    count += 1;
                }
            }
        }
    }
    assert_eq!(count, 280);
}

/// A file of `int32` voxels that count up in its order.
fn counting(dim: Vec<i64>) -> (Fields, Vec<u8>) {
    let voxels = dim[1..].iter().product::<i64>() as i32;
    let fields = Fields {
        dim,
        data_type: 8,
        bits: 32,
        ..Fields::default()
    };
    let voxels = (0..voxels).flat_map(i32::to_le_bytes).collect();
    (fields, voxels)
}

#[test]
fn grids_larger_than_a_block_keep_their_order() {
    let directory = tempfile::tempdir().unwrap();
    // A part of a block; blocks of several planes that end within a frame; planes of several blocks.
    for [x_len, y_len, z_len, frames] in [
        [67_usize, 5, 41, 1],
        [130, 65, 301, 2],
        [1, 100, 30_000, 1],
        [1500, 1501, 2, 1],
    ] {
        let (fields, voxels) = counting(
            [4, x_len, y_len, z_len, frames]
                .map(|side| side as i64)
                .to_vec(),
        );
        let bytes = fields.single(&voxels);
        for (name, bytes) in [("a.nii", &bytes), ("a.nii.gz", &gzip(&bytes))] {
            let volume = read_channels(save(directory.path(), name, bytes)).unwrap();
            for ((c, x, y, z), &value) in volume.data.indexed_iter() {
                let expected = x + x_len * (y + y_len * (z + z_len * c));
                assert_eq!(value, expected as f32, "{c} {x} {y} {z}");
            }
            assert!(volume.data.is_standard_layout());
        }
    }
}

#[test]
fn values_that_are_no_labels_are_found_in_every_block() {
    let directory = tempfile::tempdir().unwrap();
    for [x_len, y_len, z_len] in [[130_usize, 65, 601], [1500, 1501, 2]] {
        let fields = Fields {
            dim: [3, x_len, y_len, z_len].map(|side| side as i64).to_vec(),
            data_type: 8,
            bits: 32,
            ..Fields::default()
        };
        let voxels = x_len * y_len * z_len;
        let mut values = vec![7_i32; voxels];
        let first = voxels / 2 + 5;
        (values[first], values[first + 1], values[voxels - 1]) = (-3, 65_536, 70_000);
        let bytes: Vec<u8> = values.into_iter().flat_map(i32::to_le_bytes).collect();
        let path = save(directory.path(), "a.nii", &fields.single(&bytes));
        let ImageError::Labels { reason, .. } = read_label_map(path).unwrap_err() else {
            panic!("another rule");
        };
        assert_eq!((reason.count, reason.voxels), (3, voxels));
        let at = [first % x_len, first / x_len % y_len, first / x_len / y_len];
        assert_eq!((reason.first, reason.at), (-3.0, at));
    }
}

#[test]
fn the_memory_of_reading_is_the_array_and_two_blocks() {
    let directory = tempfile::tempdir().unwrap();
    let header = |dim: Vec<i64>, data_type, bits| {
        let fields = Fields {
            dim,
            data_type,
            bits,
            ..Fields::default()
        };
        image::read_header(save(directory.path(), "a.nii", &fields.header())).unwrap()
    };
    let mib = 1 << 20;
    // 16 planes of 512 KiB are a block; so is a part of a plane of 256 MiB.
    let scan = header(vec![3, 512, 512, 256], 4, 16);
    assert_eq!(scan.volume_peak_bytes(), (256 + 16 + 1) * mib);
    assert_eq!(scan.label_map_peak_bytes(), (128 + 16 + 1) * mib);
    let plane = header(vec![2, 8192, 8192], 16, 32);
    assert_eq!(plane.volume_peak_bytes(), (256 + 16 + 1) * mib);
    let channels = header(vec![4, 512, 512, 256, 2], 4, 16);
    assert_eq!(channels.volume_peak_bytes(), (512 + 16 + 1) * mib);
}

#[test]
fn content_counts_and_not_the_name() {
    let directory = tempfile::tempdir().unwrap();
    let fields = Fields::default();
    let compressed_as_nii = save(directory.path(), "a.nii", &gzip(&fields.single(&[7; 60])));
    let plain_as_gz = save(directory.path(), "b.nii.gz", &fields.single(&[7; 60]));
    let unnamed = save(directory.path(), "scan", &fields.single(&[7; 60]));
    for path in [&compressed_as_nii, &plain_as_gz, &unnamed] {
        assert_eq!(read_volume(path).unwrap().data.sum(), 420.0);
    }
    let Content::Image(format) = sniff(&compressed_as_nii).unwrap().content else {
        panic!("no image");
    };
    assert_eq!(format.name, "NIfTI");
    let header = read_header(&compressed_as_nii).unwrap();
    assert_eq!(
        (header.version, header.layout),
        (NiftiVersion::Nifti1, NiftiLayout::Single)
    );
    assert!(sniff(&compressed_as_nii).unwrap().gzip);
    assert!(!sniff(&plain_as_gz).unwrap().gzip);
}

#[test]
fn the_magic_of_a_pair_in_a_single_file_means_the_voxels_behind_it() {
    let directory = tempfile::tempdir().unwrap();
    let fields = Fields {
        pair: true,
        ..Fields::default()
    };
    let path = save(directory.path(), "a.nii", &fields.single(&[7; 60]));
    assert_eq!(read_volume(&path).unwrap().data.sum(), 420.0);
    assert_eq!(read_header(&path).unwrap().layout, NiftiLayout::Single);
    let fields = Fields {
        voxel_offset: 0.0,
        ..fields
    };
    let path = save(directory.path(), "a.nii", &fields.single(&[7; 60]));
    let error = read_volume(&path).unwrap_err();
    assert!(
        error.to_string().contains("`vox_offset` is 0, expected"),
        "{error}"
    );
}

#[test]
fn several_gzip_members_are_one_stream() {
    let directory = tempfile::tempdir().unwrap();
    let bytes = Fields::default().single(&(0..60).collect::<Vec<u8>>());
    for cut in [100, 352, 400] {
        let mut members = gzip(&bytes[..cut]);
        members.extend(gzip(&bytes[cut..]));
        members.extend(b"what some tools append");
        let path = save(directory.path(), "a.nii.gz", &members);
        assert_eq!(read_label_map(path).unwrap().data[[2, 3, 4]], 59, "{cut}");
    }
}

#[test]
fn scaling_is_computed_in_f64_and_applies_to_every_type() {
    let directory = tempfile::tempdir().unwrap();
    for (code, bits) in [(4, 16), (16, 32)] {
        let fields = Fields {
            data_type: code,
            bits,
            dim: vec![3, 2, 1, 1],
            slope: f64::from(0.1_f32),
            intercept: -1024.0,
            ..Fields::default()
        };
        let voxels: Vec<u8> = [30_000, -7]
            .into_iter()
            .flat_map(|value| encode(code, value, false))
            .collect();
        let path = save(directory.path(), "a.nii", &fields.single(&voxels));
        let volume = read_volume(&path).unwrap();
        let expected = |stored: f64| (stored * f64::from(0.1_f32) - 1024.0) as f32;
        assert_eq!(
            volume.data.as_slice().unwrap(),
            [expected(30_000.0), expected(-7.0)]
        );
    }
}

#[test]
fn a_slope_that_is_zero_or_not_finite_means_no_scaling() {
    let directory = tempfile::tempdir().unwrap();
    for slope in [0.0, f64::NAN, f64::INFINITY] {
        let fields = Fields {
            slope,
            intercept: 5.0,
            ..Fields::default()
        };
        let path = save(directory.path(), "a.nii", &fields.single(&[9; 60]));
        assert_eq!(read_header(&path).unwrap().scaling, None);
        assert_eq!(read_volume(path).unwrap().data[[0, 0, 0, 0]], 9.0);
    }
}

fn affine_of(fields: &Fields) -> (Affine, AffineSource, XForm) {
    let directory = tempfile::tempdir().unwrap();
    let header = read_header(save(directory.path(), "a.nii", &fields.header())).unwrap();
    (header.affine, header.affine_source, header.space)
}

#[test]
fn the_sform_precedes_the_qform_precedes_pixdim() {
    let mut fields = Fields {
        sform_code: 4,
        qform_code: 1,
        sform: [
            [0.0, -2.0, 0.5, 10.0],
            [3.0, 0.0, 0.0, -20.0],
            [0.0, 0.0, 4.0, 30.0],
        ],
        // A quarter turn about the third axis, as the sform has it, but elsewhere.
        quaternion: [0.0, 0.0, std::f64::consts::FRAC_1_SQRT_2],
        pixdim: [1.0, 2.0, 3.0, 4.0],
        offset: [1.0, 2.0, 3.0],
        ..Fields::default()
    };
    let (affine, source, space) = affine_of(&fields);
    assert_eq!(affine.0[..3], fields.sform);
    assert_eq!((source, space), (AffineSource::Sform, XForm::Mni152));

    fields.sform_code = 0;
    (fields.quaternion, fields.pixdim[0]) = ([0.0; 3], -1.0);
    let (affine, source, space) = affine_of(&fields);
    // The quaternion is the identity, `pixdim[0]` mirrors the third axis.
    assert_eq!(
        affine.0[..3],
        [
            [2.0, 0.0, 0.0, 1.0],
            [0.0, 3.0, 0.0, 2.0],
            [0.0, 0.0, -4.0, 3.0]
        ]
    );
    assert_eq!((source, space), (AffineSource::Qform, XForm::ScannerAnat));

    // A code outside of the standard counts as none.
    (fields.sform_code, fields.qform_code) = (6, -3);
    let (affine, source, space) = affine_of(&fields);
    assert_eq!(
        affine.0[..3],
        [
            [-2.0, 0.0, 0.0, 2.0],
            [0.0, 3.0, 0.0, -4.5],
            [0.0, 0.0, 4.0, -8.0]
        ]
    );
    assert_eq!((source, space), (AffineSource::Pixdim, XForm::Unknown));
}

#[test]
fn an_unusable_sform_gives_way_to_a_usable_qform() {
    for entry in [0.0, f64::NAN, f64::NEG_INFINITY] {
        let fields = Fields {
            sform: [[entry; 4]; 3],
            qform_code: 2,
            ..Fields::default()
        };
        for fields in [fields.clone(), fields.version(2)] {
            assert_eq!(affine_of(&fields).1, AffineSource::Qform);
        }
    }
}

#[test]
fn meters_and_micrometers_become_millimeters() {
    for (units, factor) in [
        (0, 1.0),
        (1, 1000.0),
        (2, 1.0),
        (3, 0.001),
        (2 | 8, 1.0),
        (3 | 16, 0.001),
    ] {
        let fields = Fields {
            units,
            ..Fields::default()
        };
        assert_eq!(affine_of(&fields).0.spacing(), [factor; 3]);
    }
}

#[test]
fn frames_of_length_one_are_a_volume_and_several_are_refused_with_their_shape() {
    let directory = tempfile::tempdir().unwrap();
    let fields = Fields {
        dim: vec![6, 3, 4, 5, 1, 1, 1],
        ..Fields::default()
    };
    let path = save(directory.path(), "one.nii", &fields.single(&[1; 60]));
    assert_eq!(read_volume(path).unwrap().data.dim(), (1, 3, 4, 5));

    let fields = Fields {
        dim: vec![5, 3, 4, 5, 1, 2],
        ..Fields::default()
    };
    let voxels: Vec<u8> = (0..120).collect();
    let path = save(directory.path(), "two.nii", &fields.single(&voxels));
    for error in [
        read_volume(&path).unwrap_err(),
        read_label_map(&path).unwrap_err(),
    ] {
        let ImageError::Voxels {
            reason: VoxelError::Frames { shape, frames: 2 },
            ..
        } = &error
        else {
            panic!("{error}");
        };
        assert_eq!(shape, &[3, 4, 5, 1, 2]);
        assert!(error.to_string().contains("two.nii") && error.hint().is_some());
    }
    let channels = read_channels(&path).unwrap();
    assert_eq!(channels.data.dim(), (2, 3, 4, 5));
    assert_eq!(channels.data[[1, 2, 0, 1]], 74.0);

    let fields = Fields {
        dim: vec![5, 3, 4, 5, 2, 2],
        ..Fields::default()
    };
    let path = save(directory.path(), "four.nii", &fields.single(&[0; 240]));
    let error = read_channels(path).unwrap_err();
    assert!(
        matches!(
            error,
            ImageError::Voxels {
                reason: VoxelError::ChannelAxes { .. },
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn planes_and_lines_are_grids_of_one_voxel_across() {
    let directory = tempfile::tempdir().unwrap();
    let plane = Fields {
        dim: vec![2, 3, 4],
        ..Fields::default()
    };
    let path = save(directory.path(), "plane.nii", &plane.single(&[1; 12]));
    assert_eq!(read_volume(path).unwrap().data.dim(), (1, 3, 4, 1));
    let line = Fields {
        dim: vec![1, 3],
        ..Fields::default()
    };
    let path = save(directory.path(), "line.nii", &line.single(&[1; 3]));
    assert_eq!(read_volume(path).unwrap().data.dim(), (1, 3, 1, 1));
}

#[test]
fn extensions_are_skipped() {
    let directory = tempfile::tempdir().unwrap();
    for version in [1, 2] {
        let fields = Fields::default().version(version);
        let fields = Fields {
            voxel_offset: fields.voxel_offset + 4096.0,
            ..fields
        };
        let mut bytes = fields.single(&[3; 60]);
        let extension = fields.header().len();
        bytes[extension] = 1;
        bytes[extension + 4..4000].fill(0xee);
        for (name, bytes) in [("a.nii", bytes.clone()), ("a.nii.gz", gzip(&bytes))] {
            assert_eq!(
                read_volume(save(directory.path(), name, &bytes))
                    .unwrap()
                    .data
                    .sum(),
                180.0
            );
        }
    }
}

#[test]
fn voxels_that_are_not_finite_stay_and_are_counted() {
    let directory = tempfile::tempdir().unwrap();
    let fields = Fields {
        dim: vec![3, 3, 1, 1],
        data_type: 16,
        bits: 32,
        ..Fields::default()
    };
    let voxels: Vec<u8> = [f32::NAN, 1.0, f32::NEG_INFINITY]
        .into_iter()
        .flat_map(f32::to_le_bytes)
        .collect();
    let path = save(directory.path(), "a.nii", &fields.single(&voxels));
    let volume = read_volume(&path).unwrap();
    assert!(volume.data[[0, 0, 0, 0]].is_nan());
    assert_eq!(volume.data[[0, 2, 0, 0]], f32::NEG_INFINITY);
    let found = ImageFile::open(&path, OpenOptions::default())
        .unwrap()
        .intensities(&ReadLimits::default())
        .unwrap();
    assert_eq!(found.non_finite, 2);
    assert_eq!((found.min, found.max), (Some(1.0), Some(1.0)));
}

#[test]
fn values_that_are_no_labels_are_counted_and_the_first_is_named() {
    let directory = tempfile::tempdir().unwrap();
    for other in [0.5, -1.0, 65_536.0, f64::NAN, f64::INFINITY] {
        let fields = Fields {
            data_type: 64,
            bits: 64,
            ..Fields::default()
        };
        let mut values = [65_535.0; 60];
        // Index 17 is voxel (2, 1, 1); a second one follows.
        (values[17], values[40]) = (other, other);
        let voxels: Vec<u8> = values.into_iter().flat_map(f64::to_le_bytes).collect();
        let error =
            read_label_map(save(directory.path(), "a.nii", &fields.single(&voxels))).unwrap_err();
        let ImageError::Labels { reason, .. } = &error else {
            panic!("{error}")
        };
        assert_eq!((reason.count, reason.voxels, reason.at), (2, 60, [2, 1, 1]));
        assert!(reason.first == other || reason.first.is_nan() && other.is_nan());
    }
}
