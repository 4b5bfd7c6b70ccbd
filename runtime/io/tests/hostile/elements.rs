//! Endless data sets.

use crate::Case;
use crate::dicom_files::*;

const ITEM: [u8; 8] = [0xfe, 0xff, 0x00, 0xe0, 0xff, 0xff, 0xff, 0xff];
const EMPTY_ITEM: [u8; 8] = [0xfe, 0xff, 0x00, 0xe0, 0, 0, 0, 0];

fn element(tag: Tag, vr: &[u8; 2], length: u32) -> Vec<u8> {
    let mut bytes = [tag.0.to_le_bytes(), tag.1.to_le_bytes()].concat();
    bytes.extend(vr);
    bytes.extend([0; 2]);
    bytes.extend(length.to_le_bytes());
    bytes
}

/// A file whose data set is given in its encoding.
fn raw(syntax: &str, data_set: &[u8]) -> Vec<u8> {
    let mut bytes = head(syntax);
    if syntax == DEFLATED {
        use std::io::Write;
        let mut encoder = flate2::write::DeflateEncoder::new(bytes, flate2::Compression::best());
        encoder.write_all(data_set).unwrap();
        return encoder.finish().unwrap();
    }
    bytes.extend(data_set);
    bytes
}

pub fn of_elements() -> Vec<Case> {
    let private = element((0x0009, 0x0010), b"UN", 0);
    let sequence = element((0x0009, 0x0011), b"SQ", u32::MAX);
    let functional = element(PER_FRAME, b"SQ", u32::MAX);
    let mut deflated = Vec::new();
    for content in [
        EMPTY_ITEM.repeat(2 << 20),
        EMPTY_ITEM.repeat(600_000),
        [&private[..]; 1].concat().repeat(2 << 20),
        [&element(SERIES, b"UN", 1000)[..], &[b'1'; 1000]]
            .concat()
            .repeat(20_000),
    ] {
        let is_items = content.starts_with(&EMPTY_ITEM);
        let start = if is_items { functional.clone() } else { vec![] };
        deflated.push(raw(DEFLATED, &[start, content].concat()));
    }
    let twice = raw(DEFLATED, &deflated[2][head(DEFLATED).len()..]);
    let shorter = raw(DEFLATED, &private.repeat(1 << 20));
    let [items, fewer_items, elements, kept] = deflated.try_into().unwrap();
    vec![
        ("deflated items", vec![items], "take more than"),
        ("fewer deflated items", vec![fewer_items], "take more than"),
        ("deflated elements", vec![elements], "goes on for more than"),
        ("deflated values", vec![kept], "goes on for more than"),
        (
            "many deflated files",
            (0..128_u8)
                .map(|file| [&shorter[..], &[file]].concat())
                .collect(),
            "goes on for more than",
        ),
        ("deflated twice", vec![twice], "has no value representation"),
        (
            "private elements",
            vec![raw(EXPLICIT, &private.repeat(200_000))],
            "is absent or empty",
        ),
        (
            "items",
            vec![raw(
                EXPLICIT,
                &[sequence.clone(), EMPTY_ITEM.repeat(300_000)].concat(),
            )],
            "ends within an element",
        ),
        (
            "functional groups without an image",
            vec![raw(
                EXPLICIT,
                &[functional, EMPTY_ITEM.repeat(300_000)].concat(),
            )],
            "take more than",
        ),
        (
            "depth",
            vec![raw(
                EXPLICIT,
                &[&sequence[..], &ITEM[..]].concat().repeat(50_000),
            )],
            "more than 64 levels deep",
        ),
    ]
}
