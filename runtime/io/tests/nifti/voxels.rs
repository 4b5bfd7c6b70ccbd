//! Voxels of correct files: in blocks, and those that are no labels or not finite.

use crate::synthetic::{Fields, gzip, save};
use vesal_io::image::{
    self, ImageError, ImageFile, OpenOptions, ReadLimits, read_channels, read_label_map,
    read_volume,
};

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
