//! NIfTI: header, volume and label map.

#[path = "../../../runtime/io/tests/synthetic/mod.rs"]
mod made;

use self::made::{Fields, gzip};
use crate::compressed::Wrapping;
use crate::image;
use crate::scratch::ScratchFolder;
use crate::target::Target;

/// A file, unchanged and as `.nii.gz`.
pub const VOLUME: Target = Target {
    name: "nifti",
    run: |bytes| {
        let folder = ScratchFolder::new();
        let compressed = bytes.starts_with(&[0x1f, 0x8b]);
        let path = folder.file(if compressed { "a.nii.gz" } else { "a.nii" }, bytes);
        image::read(&path);
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
