//! MetaImage files written without any check: a header as text, and the bytes of its voxels.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;

/// Fields of a header in order, and data; `Default` is a valid 3×4×5 `MET_UCHAR` grid with spacings of 1, 2 and 4 mm.
#[derive(Debug, Clone)]
pub struct MetaImage {
    pub fields: Vec<(String, String)>,
    pub data: Vec<u8>,
}

impl Default for MetaImage {
    fn default() -> Self {
        let fields = [
            ("ObjectType", "Image"),
            ("NDims", "3"),
            ("BinaryData", "True"),
            ("TransformMatrix", "1 0 0 0 1 0 0 0 1"),
            ("Offset", "-7.5 8 9.25"),
            ("ElementSpacing", "1 2 4"),
            ("DimSize", "3 4 5"),
            ("ElementType", "MET_UCHAR"),
        ];
        Self {
            fields: fields
                .map(|(name, value)| (name.into(), value.into()))
                .into(),
            data: (0..60).collect(),
        }
    }
}

impl MetaImage {
    /// The same with another value of a field, or with a further field.
    pub fn with(mut self, field: &str, value: &str) -> Self {
        match self.fields.iter_mut().find(|(name, _)| name == field) {
            Some((_, old)) => *old = value.into(),
            None => self.fields.push((field.into(), value.into())),
        }
        self
    }

    pub fn without(mut self, field: &str) -> Self {
        self.fields.retain(|(name, _)| name != field);
        self
    }

    pub fn data(mut self, data: impl Into<Vec<u8>>) -> Self {
        self.data = data.into();
        self
    }

    pub fn compressed(self) -> Self {
        let data = zlib(&self.data);
        self.with("CompressedData", "True").data(data)
    }

    /// The header, whose last field names the data.
    pub fn header(&self, data_file: &str) -> String {
        let fields = self.fields.iter();
        let lines: Vec<_> = fields
            .map(|(name, value)| format!("{name} = {value}\n"))
            .collect();
        format!("{}ElementDataFile = {data_file}\n", lines.concat())
    }

    /// Header and data.
    pub fn attached(&self) -> Vec<u8> {
        [self.header("LOCAL").as_bytes(), &self.data].concat()
    }
}

pub fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
