//! Uncompressed NIfTI-1 files whose bytes a test edits.

use std::fs;
use std::path::Path;

use ndarray::{Array3, Axis};
use vesal_io::nifti::{WriteOptions, write_volume};
use vesal_volume::{Affine, Volume};

/// Writes a volume of float32 with spacing 1 mm and edits the bytes of the file; voxels begin at byte 352.
pub fn raw(path: &Path, values: &Array3<f32>, edit: impl Fn(&mut Vec<u8>)) {
    let volume = Volume {
        data: values.clone().insert_axis(Axis(0)),
        affine: Affine::IDENTITY,
    };
    write_volume(path, &volume, &WriteOptions::default()).unwrap();
    let mut bytes = fs::read(path).unwrap();
    assert_eq!(bytes.len(), 352 + 4 * values.len());
    edit(&mut bytes);
    fs::write(path, bytes).unwrap();
}

pub fn put_i16(bytes: &mut [u8], at: usize, value: i16) {
    bytes[at..at + 2].copy_from_slice(&value.to_le_bytes());
}

pub fn put_f32(bytes: &mut [u8], at: usize, value: f32) {
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
}
