//! NIfTI files written field by field, without any check.
#![allow(dead_code, reason = "each test file uses a part of it")]

#[path = "../shared/mod.rs"]
mod shared;

use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
#[allow(unused_imports, reason = "each test file uses a part of it")]
pub use shared::shared_data;

/// Fields of a header; `Default` is a valid 3×4×5 `uint8` grid with a 1 mm sform.
#[derive(Debug, Clone)]
pub struct Fields {
    pub version: u8,
    pub big: bool,
    pub pair: bool,
    pub data_type: i16,
    pub bits: i16,
    /// `dim[0]` and the dimensions.
    pub dim: Vec<i64>,
    pub pixdim: [f64; 4],
    pub voxel_offset: f64,
    pub slope: f64,
    pub intercept: f64,
    pub units: u8,
    pub qform_code: i32,
    pub sform_code: i32,
    pub quaternion: [f64; 3],
    pub offset: [f64; 3],
    pub sform: [[f64; 4]; 3],
}

impl Default for Fields {
    fn default() -> Self {
        Self {
            version: 1,
            big: false,
            pair: false,
            data_type: 2,
            bits: 8,
            dim: vec![3, 3, 4, 5],
            pixdim: [1.0; 4],
            voxel_offset: 352.0,
            slope: 0.0,
            intercept: 0.0,
            units: 2,
            qform_code: 0,
            sform_code: 1,
            quaternion: [0.0; 3],
            offset: [0.0; 3],
            sform: [
                [1.0, 0.0, 0.0, 0.0],
                [0.0, 1.0, 0.0, 0.0],
                [0.0, 0.0, 1.0, 0.0],
            ],
        }
    }
}

/// Writes numbers at places.
pub struct Bytes {
    pub bytes: Vec<u8>,
    big: bool,
}

impl Bytes {
    pub fn put<const N: usize>(&mut self, at: usize, mut little: [u8; N]) {
        if self.big {
            little.reverse();
        }
        self.bytes[at..at + N].copy_from_slice(&little);
    }
}

impl Fields {
    /// The same grid in the other edition, with the offset that belongs to it.
    pub fn version(self, version: u8) -> Self {
        let voxel_offset = if version == 1 { 352.0 } else { 544.0 };
        Self {
            version,
            voxel_offset,
            ..self
        }
    }

    /// The header as bytes, 348 or 540.
    pub fn header(&self) -> Vec<u8> {
        if self.version == 1 {
            self.header1()
        } else {
            self.header2()
        }
    }

    fn header1(&self) -> Vec<u8> {
        let mut out = Bytes {
            bytes: vec![0; 348],
            big: self.big,
        };
        out.put(0, 348_i32.to_le_bytes());
        for (index, &value) in self.dim.iter().enumerate() {
            out.put(40 + 2 * index, (value as i16).to_le_bytes());
        }
        out.put(70, self.data_type.to_le_bytes());
        out.put(72, self.bits.to_le_bytes());
        let mut f32s = |at: usize, values: &[f64]| {
            for (index, &value) in values.iter().enumerate() {
                out.put(at + 4 * index, (value as f32).to_le_bytes());
            }
        };
        f32s(76, &self.pixdim);
        f32s(108, &[self.voxel_offset, self.slope, self.intercept]);
        f32s(256, &self.quaternion);
        f32s(268, &self.offset);
        f32s(280, self.sform.as_flattened());
        out.put(252, (self.qform_code as i16).to_le_bytes());
        out.put(254, (self.sform_code as i16).to_le_bytes());
        out.bytes[123] = self.units;
        out.bytes[344..].copy_from_slice(if self.pair { b"ni1\0" } else { b"n+1\0" });
        out.bytes
    }

    fn header2(&self) -> Vec<u8> {
        let mut out = Bytes {
            bytes: vec![0; 540],
            big: self.big,
        };
        out.put(0, 540_i32.to_le_bytes());
        let magic = if self.pair {
            b"ni2\0\r\n\x1a\n"
        } else {
            b"n+2\0\r\n\x1a\n"
        };
        out.bytes[4..12].copy_from_slice(magic);
        out.put(12, self.data_type.to_le_bytes());
        out.put(14, self.bits.to_le_bytes());
        for (index, &value) in self.dim.iter().enumerate() {
            out.put(16 + 8 * index, value.to_le_bytes());
        }
        let mut f64s = |at: usize, values: &[f64]| {
            for (index, &value) in values.iter().enumerate() {
                out.put(at + 8 * index, value.to_le_bytes());
            }
        };
        f64s(104, &self.pixdim);
        f64s(176, &[self.slope, self.intercept]);
        f64s(352, &self.quaternion);
        f64s(376, &self.offset);
        f64s(400, self.sform.as_flattened());
        out.put(168, (self.voxel_offset as i64).to_le_bytes());
        out.put(344, self.qform_code.to_le_bytes());
        out.put(348, self.sform_code.to_le_bytes());
        out.put(500, i32::from(self.units).to_le_bytes());
        out.bytes
    }

    /// The header, zeros up to the offset, and the voxels.
    pub fn single(&self, voxels: &[u8]) -> Vec<u8> {
        let mut bytes = self.header();
        bytes.resize((self.voxel_offset as usize).max(bytes.len()), 0);
        bytes.extend(voxels);
        bytes
    }
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub fn save(directory: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = directory.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}
