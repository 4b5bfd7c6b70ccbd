//! The steps for every image format.

use std::path::Path;

use vesal_io::image::{ImageError, ImageFile, OpenOptions, ReadLimits};

/// Bytes of voxels that are read at most.
const VOXEL_BYTES_MAX: u64 = 8 << 20;

/// Reads a file as channels, as a label map and through.
pub fn read(path: &Path) {
    let open = || ImageFile::open(path, OpenOptions::default());
    let grid = match open() {
        Ok(file) => file.header().geometry,
        Err(error) => return said(&error),
    };
    let limits = ReadLimits {
        max_voxel_bytes: VOXEL_BYTES_MAX,
    };
    match open().and_then(|file| file.channels(&limits)) {
        Ok(volume) => {
            assert_eq!(volume.data.shape()[1..], grid.shape);
            let mut numbers = volume.affine.0.iter().flatten();
            assert!(numbers.all(|number| number.is_finite()));
        }
        Err(error) => said(&error),
    }
    let _ = open().and_then(|file| file.intensities(&limits));
    match open().and_then(|file| file.label_map(&limits)) {
        Ok(map) => assert_eq!(map.data.shape(), grid.shape),
        Err(error) => said(&error),
    }
}

fn said(error: &ImageError) {
    let _ = (error.to_string(), error.hint());
}
