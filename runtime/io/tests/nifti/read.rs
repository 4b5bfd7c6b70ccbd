//! All variants of correct NIfTI files.

use crate::synthetic::{Fields, gzip, save};
use vesal_io::image::{
    ByteOrder, ImageError, VoxelError, read_channels, read_label_map, read_volume,
};
use vesal_io::nifti::{NiftiLayout, NiftiVersion, read_header};
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
