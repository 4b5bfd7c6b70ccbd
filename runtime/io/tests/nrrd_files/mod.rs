//! NRRD files written without any check: a header as text, and the bytes of its voxels.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

/// Fields of a header in order, and data; `Default` is a valid 3×4×5 `uint8` grid with spacings of 1, 2 and 4 mm in LPS.
#[derive(Debug, Clone)]
pub struct Nrrd {
    pub magic: &'static str,
    pub fields: Vec<(String, String)>,
    pub data: Vec<u8>,
}

impl Default for Nrrd {
    fn default() -> Self {
        let fields = [
            ("type", "uint8"),
            ("dimension", "3"),
            ("space", "left-posterior-superior"),
            ("sizes", "3 4 5"),
            ("space directions", "(1,0,0) (0,2,0) (0,0,4)"),
            ("kinds", "domain domain domain"),
            ("encoding", "raw"),
            ("space origin", "(-7.5,8,9.25)"),
        ];
        Self {
            magic: "NRRD0004",
            fields: fields
                .map(|(name, value)| (name.into(), value.into()))
                .into(),
            data: (0..60).collect(),
        }
    }
}

impl Nrrd {
    /// A grid of numbers, the first axis fastest, whose directions and origin are in RAS mm.
    pub fn floats(
        shape: [usize; 3],
        linear: [[f64; 3]; 3],
        origin: [f64; 3],
        values: impl Iterator<Item = f32>,
    ) -> Self {
        let vector = |[x, y, z]: [f64; 3]| format!("({x},{y},{z})");
        let step = |axis: usize| vector([0, 1, 2].map(|row| linear[row][axis]));
        let sizes = shape.map(|size| size.to_string());
        Self::default()
            .with("type", "float")
            .with("endian", "little")
            .with("sizes", &sizes.join(" "))
            .with("space", "right-anterior-superior")
            .with("space directions", &[0, 1, 2].map(step).join(" "))
            .with("space origin", &vector(origin))
            .data(values.flat_map(f32::to_le_bytes).collect::<Vec<u8>>())
    }

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

    pub fn gzip(self) -> Self {
        let data = gzip(&self.data);
        self.with("encoding", "gzip").data(data)
    }

    pub fn header(&self) -> String {
        let fields = self.fields.iter();
        let lines: Vec<_> = fields
            .map(|(name, value)| format!("{name}: {value}\n"))
            .collect();
        format!("{}\n# made by hand\n{}", self.magic, lines.concat())
    }

    /// Header, empty line and data.
    pub fn attached(&self) -> Vec<u8> {
        [self.header().as_bytes(), b"\n", &self.data].concat()
    }
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
