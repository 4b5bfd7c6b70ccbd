//! DICOM files written element by element, without any check.
#![allow(dead_code, reason = "each test file uses a part of it")]

pub mod reading;
pub mod structures;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::DeflateEncoder;

pub type Tag = (u16, u16);

pub const SOP_CLASS: Tag = (0x0008, 0x0016);
pub const INSTANCE: Tag = (0x0008, 0x0018);
pub const MODALITY: Tag = (0x0008, 0x0060);
pub const PATIENT_NAME: Tag = (0x0010, 0x0010);
pub const PATIENT_ID: Tag = (0x0010, 0x0020);
pub const STUDY: Tag = (0x0020, 0x000d);
pub const IMAGE_TYPE: Tag = (0x0008, 0x0008);
pub const ECHO_TIME: Tag = (0x0018, 0x0081);
pub const SERIES: Tag = (0x0020, 0x000e);
pub const ACQUISITION: Tag = (0x0020, 0x0012);
pub const POSITION: Tag = (0x0020, 0x0032);
pub const ORIENTATION: Tag = (0x0020, 0x0037);
pub const FRAME_OF_REFERENCE: Tag = (0x0020, 0x0052);
pub const TEMPORAL_POSITION: Tag = (0x0020, 0x0100);
pub const SAMPLES: Tag = (0x0028, 0x0002);
pub const PHOTOMETRIC: Tag = (0x0028, 0x0004);
pub const FRAMES: Tag = (0x0028, 0x0008);
pub const ROWS: Tag = (0x0028, 0x0010);
pub const COLUMNS: Tag = (0x0028, 0x0011);
pub const SPACING: Tag = (0x0028, 0x0030);
pub const ALLOCATED: Tag = (0x0028, 0x0100);
pub const STORED: Tag = (0x0028, 0x0101);
pub const HIGH_BIT: Tag = (0x0028, 0x0102);
pub const SIGNED: Tag = (0x0028, 0x0103);
pub const INTERCEPT: Tag = (0x0028, 0x1052);
pub const SLOPE: Tag = (0x0028, 0x1053);
pub const SHARED: Tag = (0x5200, 0x9229);
pub const PER_FRAME: Tag = (0x5200, 0x9230);
pub const PIXELS: Tag = (0x7fe0, 0x0010);

pub const IMPLICIT: &str = "1.2.840.10008.1.2";
pub const EXPLICIT: &str = "1.2.840.10008.1.2.1";
pub const DEFLATED: &str = "1.2.840.10008.1.2.1.99";
pub const BIG: &str = "1.2.840.10008.1.2.2";
pub const RLE: &str = "1.2.840.10008.1.2.5";

pub const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
pub const MR: &str = "1.2.840.10008.5.1.4.1.1.4";
pub const ENHANCED_MR: &str = "1.2.840.10008.5.1.4.1.1.4.1";

/// The instance of an image, unless it is one of many.
pub const MADE_UP: &str = "1.2.3";

/// Sentinel for the patient's name and the like.
pub const SENTINEL: &str = "SENTINEL^PATIENT";

#[derive(Debug, Clone)]
pub enum Value {
    Bytes(Vec<u8>),
    Numbers(Vec<u16>),
    Long(u32),
    Double(f64),
    Items(Vec<Elements>),
    /// Compressed pixels: the offset table, then fragments.
    Fragments(Vec<Vec<u8>>),
}

#[derive(Debug, Clone, Default)]
pub struct Elements(pub BTreeMap<Tag, ([u8; 2], Value)>);

impl Elements {
    pub fn text(mut self, tag: Tag, vr: &[u8; 2], text: &str) -> Self {
        let mut bytes = text.as_bytes().to_vec();
        if bytes.len() % 2 == 1 {
            bytes.push(if vr == b"UI" { 0 } else { b' ' });
        }
        self.0.insert(tag, (*vr, Value::Bytes(bytes)));
        self
    }

    pub fn numbers(self, tag: Tag, numbers: &[f64]) -> Self {
        let texts: Vec<String> = numbers.iter().map(f64::to_string).collect();
        self.text(tag, b"DS", &texts.join("\\"))
    }

    pub fn short(mut self, tag: Tag, number: u16) -> Self {
        self.0.insert(tag, (*b"US", Value::Numbers(vec![number])));
        self
    }

    pub fn value(mut self, tag: Tag, vr: &[u8; 2], value: Value) -> Self {
        self.0.insert(tag, (*vr, value));
        self
    }

    pub fn without(mut self, tag: Tag) -> Self {
        self.0.remove(&tag);
        self
    }

    pub fn pixels(self, pixels: &[u16]) -> Self {
        self.value(PIXELS, b"OW", Value::Numbers(pixels.to_vec()))
    }

    pub fn at(self, position: [f64; 3]) -> Self {
        self.numbers(POSITION, &position)
    }

    /// The data set alone.
    pub fn encode(&self, syntax: &str) -> Vec<u8> {
        let (implicit, big) = (syntax == IMPLICIT, syntax == BIG);
        let mut out = Vec::new();
        let u16 = |number: u16| {
            if big {
                number.to_be_bytes()
            } else {
                number.to_le_bytes()
            }
        };
        let u32 = |number: u32| {
            if big {
                number.to_be_bytes()
            } else {
                number.to_le_bytes()
            }
        };
        for ((group, element), (vr, value)) in &self.0 {
            let mut undefined = false;
            let bytes = match value {
                Value::Bytes(bytes) => bytes.clone(),
                Value::Numbers(numbers) => numbers.iter().flat_map(|n| u16(*n)).collect(),
                Value::Long(number) => u32(*number).to_vec(),
                Value::Double(number) if big => number.to_be_bytes().to_vec(),
                Value::Double(number) => number.to_le_bytes().to_vec(),
                Value::Items(items) => {
                    let mut bytes = Vec::new();
                    for item in items {
                        let item = item.encode(syntax);
                        bytes.extend([u16(0xfffe), u16(0xe000)].concat());
                        bytes.extend(u32(item.len() as u32));
                        bytes.extend(item);
                    }
                    bytes
                }
                Value::Fragments(fragments) => {
                    undefined = true;
                    encapsulated(fragments)
                }
            };
            out.extend([u16(*group), u16(*element)].concat());
            let length = if undefined {
                u32::MAX
            } else {
                bytes.len() as u32
            };
            if implicit {
                out.extend(u32(length));
            } else {
                out.extend(vr);
                if matches!(vr, b"OB" | b"OW" | b"SQ" | b"UN" | b"UT") {
                    out.extend([0; 2]);
                    out.extend(u32(length));
                } else {
                    out.extend(u16(length as u16));
                }
            }
            out.extend(bytes);
        }
        out
    }

    pub fn file(&self, syntax: &str) -> Vec<u8> {
        let mut bytes = head(syntax);
        let body = self.encode(syntax);
        if syntax == DEFLATED {
            let mut encoder = DeflateEncoder::new(bytes, Compression::best());
            encoder.write_all(&body).unwrap();
            return encoder.finish().unwrap();
        }
        bytes.extend(body);
        bytes
    }
}

/// Preamble and file meta information.
pub fn head(syntax: &str) -> Vec<u8> {
    let meta = Elements::default().text((0x0002, 0x0010), b"UI", syntax);
    with_meta(meta)
}

/// Preamble and other file meta information.
pub fn with_meta(meta: Elements) -> Vec<u8> {
    let mut bytes = vec![0; 128];
    bytes.extend(b"DICM");
    bytes.extend(meta.encode(EXPLICIT));
    bytes
}

fn encapsulated(fragments: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for fragment in fragments {
        bytes.extend([0xfe, 0xff, 0x00, 0xe0]);
        bytes.extend((fragment.len() as u32).to_le_bytes());
        bytes.extend(fragment);
    }
    bytes.extend([0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0]);
    bytes
}

/// A CT slice of 3 columns and 2 rows of 16 bits, 1.5 mm between columns and 2 mm between rows, whose pixels count up
/// from 0.
pub fn image() -> Elements {
    Elements::default()
        .text(SOP_CLASS, b"UI", CT)
        .text(INSTANCE, b"UI", MADE_UP)
        .text(MODALITY, b"CS", "CT")
        .text((0x0008, 0x103e), b"LO", "made up")
        .text(PATIENT_NAME, b"PN", SENTINEL)
        .text(PATIENT_ID, b"LO", SENTINEL)
        .text(STUDY, b"UI", "1.2")
        .text(SERIES, b"UI", "1.2.1")
        .text(FRAME_OF_REFERENCE, b"UI", "1.2.9")
        .numbers(ORIENTATION, &[1., 0., 0., 0., 1., 0.])
        .at([0.; 3])
        .short(SAMPLES, 1)
        .text(PHOTOMETRIC, b"CS", "MONOCHROME2")
        .short(ROWS, 2)
        .short(COLUMNS, 3)
        .numbers(SPACING, &[2., 1.5])
        .short(ALLOCATED, 16)
        .short(STORED, 16)
        .short(HIGH_BIT, 15)
        .short(SIGNED, 1)
        .pixels(&[0, 1, 2, 3, 4, 5])
}

/// Axial slices 2.5 mm apart; pixels count on from slice to slice in steps of 10.
pub fn series(slices: usize) -> Vec<Elements> {
    (0..slices)
        .map(|k| {
            let pixels: Vec<u16> = (0..6).map(|pixel| (10 * k + pixel) as u16).collect();
            image().at([10., 20., 2.5 * k as f64]).pixels(&pixels)
        })
        .collect()
}

/// Writes files with names in reverse order; each is an instance of its own unless it states another.
pub fn save_all(folder: &Path, images: &[Elements], syntax: &str) {
    for (index, image) in images.iter().enumerate() {
        let mut image = image.clone();
        if matches!(image.0.get(&INSTANCE), Some((_, Value::Bytes(uid))) if uid.starts_with(MADE_UP.as_bytes()))
        {
            image = image.text(INSTANCE, b"UI", &format!("{MADE_UP}.{index}"));
        }
        save(folder, &format!("{:03}", 999 - index), &image.file(syntax));
    }
}

pub fn save(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}
