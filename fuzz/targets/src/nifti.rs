//! NIfTI: header, volume and label map.

#[path = "../../../runtime/io/tests/synthetic/mod.rs"]
mod made;

use vesal_io::nifti::{
    Limits, NiftiFile, read_channels_within, read_header, read_label_map_within,
};

use self::made::{Fields, gzip};
use crate::compressed::Wrapping;
use crate::scratch::Scratch;
use crate::target::Target;

/// Bytes of voxels that are read at most.
const VOXEL_BYTES_MAX: u64 = 8 << 20;

/// A file, as it is and as `.nii.gz`.
pub const VOLUME: Target = Target {
    name: "nifti",
    run: |bytes| {
        let folder = Scratch::new();
        let compressed = bytes.starts_with(&[0x1f, 0x8b]);
        let path = folder.file(if compressed { "a.nii.gz" } else { "a.nii" }, bytes);
        let header = match read_header(&path) {
            Ok(header) => header,
            Err(error) => return drop(error.to_string()),
        };
        let grid = header.geometry();
        let limits = Limits {
            max_voxel_bytes: VOXEL_BYTES_MAX,
        };
        match read_channels_within(&path, &limits) {
            Ok(volume) => {
                assert_eq!(volume.data.shape()[1..], grid.shape);
                let mut numbers = volume.affine.0.iter().flatten();
                assert!(numbers.all(|number| number.is_finite()));
            }
            Err(error) => drop(error.to_string()),
        }
        if let Ok(file) = NiftiFile::open(&path) {
            let _ = file.intensities(&limits);
        }
        match read_label_map_within(&path, &limits) {
            Ok(map) => assert_eq!(map.data.shape(), grid.shape),
            Err(error) => drop(error.to_string()),
        }
    },
    seeds: || {
        let voxels: Vec<u8> = (0..60).collect();
        let both = Fields {
            qform_code: 1,
            ..Fields::default()
        };
        let floats = Fields {
            data_type: 16,
            bits: 32,
            slope: 2.0,
            intercept: 1.0,
            ..Fields::default()
        };
        let four = Fields {
            dim: vec![4, 3, 4, 5, 2],
            ..Fields::default()
        };
        let big = Fields {
            big: true,
            ..Fields::default()
        };
        let single = Fields::default().single(&voxels);
        vec![
            gzip(&single),
            single,
            Fields::default().version(2).single(&voxels),
            both.single(&voxels),
            floats.single(&voxels.repeat(4)),
            four.single(&voxels.repeat(2)),
            big.single(&voxels),
        ]
    },
    wrapping: Some(Wrapping::Gzip),
};
