//! Small frames that other encoders compressed: 2 to 16 bits, runs and edges, restarts, near-lossless, signed.

use crate::dicom_files::reading::*;
use crate::dicom_files::*;
use tempfile::tempdir;
use vesal_io::dicom::{DicomError, PixelError, Policy};
use vesal_io::image::ReadLimits;

const COLUMNS_HERE: usize = 19;
const ROWS_HERE: usize = 13;

/// What was compressed: curves, steps, flat parts, and both ends of the range.
fn pattern(bits: u32, x: i64, y: i64) -> i64 {
    let top = (1 << bits) - 1;
    if y == 0 {
        return top / 2;
    }
    if (x, y) == (3, 10) {
        return top;
    }
    if y >= 9 && x < 6 {
        return 0;
    }
    if (3..7).contains(&y) && (4..12).contains(&x) {
        return top / 3;
    }
    let curves = (x * x * 37 + y * y * y * 11 + x * y * 5) % (top / 4 + 1);
    (curves + (x * 31 + y * 17) % 5 * (top / 16)).clamp(0, top)
}

struct Frame {
    name: String,
    syntax: String,
    bits: u32,
    signed: bool,
    bound: f32,
    bytes: Vec<u8>,
}

fn frames() -> Vec<Frame> {
    let lines = include_str!("../dicom_files/codecs.txt").lines();
    lines
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let fields: Vec<&str> = line.split(" | ").collect();
            let digits = fields[5].as_bytes().chunks(2);
            let byte = |pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
            Frame {
                name: fields[0].into(),
                syntax: format!("1.2.840.10008.1.2.4.{}", fields[1]),
                bits: fields[2].parse().unwrap(),
                signed: fields[3] == "signed",
                bound: fields[4].parse().unwrap(),
                bytes: digits.map(byte).collect(),
            }
        })
        .collect()
}

impl Frame {
    fn file(&self, bytes: &[u8]) -> Vec<u8> {
        let fragments = Value::Fragments(vec![vec![], bytes.to_vec()]);
        image()
            .numbers((0x0018, 0x0050), &[1.])
            .short(ROWS, ROWS_HERE as u16)
            .short(COLUMNS, COLUMNS_HERE as u16)
            .short(ALLOCATED, if self.bits > 8 { 16 } else { 8 })
            .short(STORED, self.bits as u16)
            .short(HIGH_BIT, self.bits as u16 - 1)
            .short(SIGNED, self.signed.into())
            .value(PIXELS, b"OB", fragments)
            .file(&self.syntax)
    }

    fn read(&self, bytes: &[u8]) -> Result<Vec<f32>, DicomError> {
        let folder = tempdir().unwrap();
        save(folder.path(), "frame", &self.file(bytes));
        let found = look(folder.path());
        let assessment = assess(&found.stacks[0], Policy::Strict);
        let volume = assessment.read(&ReadLimits::default())?;
        let data = &volume.data;
        let places = (0..ROWS_HERE).flat_map(|y| (0..COLUMNS_HERE).map(move |x| (x, y)));
        Ok(places.map(|(x, y)| data[[0, x, y, 0]]).collect())
    }
}

#[test]
fn frames_of_other_encoders_decode() {
    let frames = frames();
    assert_eq!(frames.len(), 25);
    for frame in frames {
        let found = frame.read(&frame.bytes).unwrap();
        for (index, value) in found.into_iter().enumerate() {
            let (x, y) = (index % COLUMNS_HERE, index / COLUMNS_HERE);
            let middle = if frame.signed {
                1 << (frame.bits - 1)
            } else {
                0
            };
            let expected = (pattern(frame.bits, x as i64, y as i64) - middle) as f32;
            assert!(
                (value - expected).abs() <= frame.bound,
                "{}: {value} at {x}, {y}, expected {expected}",
                frame.name
            );
        }
    }
}

#[test]
fn frames_that_end_early_are_refused() {
    for frame in frames() {
        // Decoders may not miss what follows the last pixel: padding, the end of the image.
        for length in (0..frame.bytes.len() - 8).step_by(29) {
            let error = match frame.read(&frame.bytes[..length]) {
                Err(error) => error,
                Ok(_) => panic!("{}: {length} of {} bytes", frame.name, frame.bytes.len()),
            };
            assert!(
                matches!(
                    error,
                    DicomError::Pixels {
                        reason: PixelError::Codec(_),
                        ..
                    }
                ),
                "{}: {error}",
                frame.name
            );
        }
    }
}

/// A codestream without the last bytes of its only tile-part, which says so.
fn without_packets(codestream: &[u8], bytes: usize) -> Vec<u8> {
    let start = codestream
        .windows(4)
        .position(|window| window == [0xff, 0x90, 0, 10])
        .unwrap();
    let end = codestream.len() - 2;
    let mut cut = codestream[..end - bytes].to_vec();
    let length = (cut.len() - start) as u32;
    cut[start + 6..start + 10].copy_from_slice(&length.to_be_bytes());
    cut.extend([0xff, 0xd9]);
    cut
}

#[test]
fn frames_without_all_of_their_packets_are_refused() {
    let frames = frames();
    let of_one_part = |frame: &&Frame| {
        let starts = frame.bytes.windows(4);
        let starts = starts.filter(|window| *window == [0xff, 0x90, 0, 10]);
        frame.syntax.ends_with("90") && starts.count() == 1
    };
    let jpeg_2000 = frames.iter().filter(of_one_part);
    let mut seen = 0;
    for frame in jpeg_2000 {
        // Writers may pad the end.
        let end = frame
            .bytes
            .windows(2)
            .rposition(|pair| pair == [0xff, 0xd9]);
        let whole = &frame.bytes[..end.unwrap() + 2];
        assert!(
            frame.read(&without_packets(whole, 0)).is_ok(),
            "{}",
            frame.name
        );
        let data = whole
            .windows(2)
            .position(|pair| pair == [0xff, 0x93])
            .unwrap();
        let most = whole.len() - 2 - (data + 2);
        for bytes in (1..most).step_by(7).chain([most]) {
            let cut = without_packets(whole, bytes);
            let error = match frame.read(&cut) {
                Err(error) => error.to_string(),
                Ok(_) => panic!("{}: without {bytes} of {most} bytes", frame.name),
            };
            assert!(error.contains("cannot be decoded"), "{error}");
        }
        seen += 1;
    }
    assert_eq!(seen, 7);
}
