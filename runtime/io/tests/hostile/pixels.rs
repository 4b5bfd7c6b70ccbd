//! Pixels that are compared.

use crate::Case;
use crate::dicom_files::*;

const JPEG_LS: &str = "1.2.840.10008.1.2.4.80";
const JPEG_2000: &str = "1.2.840.10008.1.2.4.90";

/// A codestream of JPEG 2000 of this size with these precincts, and packets.
fn codestream(size: u16, precincts: u8, packets: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0xff, 0x4f, 0xff, 0x51, 0, 41, 0, 0];
    let size = u32::from(size);
    for number in [size, size, 0, 0, size, size, 0, 0] {
        bytes.extend(number.to_be_bytes());
    }
    bytes.extend([0, 1, 7, 1, 1]);
    // Two resolutions, code-blocks of 4 × 4.
    bytes.extend([0xff, 0x52, 0, 14, 1, 0, 0, 1, 0, 1, 0, 0, 0, 1]);
    bytes.extend([precincts, precincts]);
    bytes.extend([0xff, 0x5c, 0, 7, 0x40, 64, 72, 72, 80]);
    bytes.extend([0xff, 0x90, 0, 10, 0, 0]);
    bytes.extend((14 + packets.len() as u32).to_be_bytes());
    bytes.extend([0, 1, 0xff, 0x93]);
    bytes.extend(packets);
    bytes.extend([0xff, 0xd9]);
    bytes
}

/// The segment of a component's coding style: two resolutions with precincts of 2 × 2.
const OF_COMPONENT: [u8; 13] = [0xff, 0x53, 0, 11, 0, 1, 1, 0, 0, 0, 1, 0x11, 0x11];

/// The codestream of 1024 × 1024 with another segment of coding style, and no packet but empty ones.
fn with_style(style: &[u8]) -> Vec<u8> {
    let mut bytes = codestream(1024, 0x11, &[0; 4]);
    let plain = 45..61;
    assert_eq!(bytes[plain.clone()][..2], [0xff, 0x52]);
    bytes.splice(plain, style.iter().copied());
    bytes
}

fn compressed(size: u16, syntax: &str, bits: u16, fragments: Vec<Vec<u8>>) -> Vec<u8> {
    image()
        .numbers((0x0018, 0x0050), &[1.])
        .short(ROWS, size)
        .short(COLUMNS, size)
        .short(ALLOCATED, bits)
        .short(STORED, bits)
        .short(HIGH_BIT, bits - 1)
        .short(SIGNED, 0)
        .value(PIXELS, b"OB", Value::Fragments(fragments))
        .file(syntax)
}

pub fn of_pixels() -> Vec<Case> {
    let zeros = |size: u16, last: u16, syntax: &str| {
        let pixels = usize::from(size) * usize::from(size);
        let mut numbers = vec![0; pixels];
        numbers[pixels - 1] = last;
        image()
            .numbers((0x0018, 0x0050), &[1.])
            .short(ROWS, size)
            .short(COLUMNS, size)
            .pixels(&numbers)
            .file(syntax)
    };
    let bomb = codestream(1024, 0x11, &[0; 16_000]);
    let jpeg_2000 = |stream: &[u8], last: u8| {
        let stream = [stream, &[last]].concat();
        compressed(1024, JPEG_2000, 8, vec![vec![], stream])
    };
    let twice = |stream: &[u8]| vec![jpeg_2000(stream, 0), jpeg_2000(stream, 1)];
    let plain = [0xff, 0x52, 0, 12, 0, 0, 0, 1, 0, 1, 4, 4, 0, 1];
    let before = with_style(&[&OF_COMPONENT[..], &plain].concat());
    let behind = with_style(&[&plain[..], &OF_COMPONENT].concat());
    let mut hidden = [&plain[..], &OF_COMPONENT].concat();
    hidden[3] += OF_COMPONENT.len() as u8;
    let hidden = with_style(&hidden);
    let rle = |last: u8| {
        let mut bytes = vec![0; 64];
        bytes[0] = 1;
        bytes[4] = 64;
        bytes.extend([129, 0].repeat(8_500));
        bytes.push(last);
        compressed(2880, RLE, 8, vec![vec![], bytes])
    };
    let lying = |start: u32| {
        let mut bytes = vec![0; 80];
        bytes[0] = 2;
        bytes[4..8].copy_from_slice(&start.to_le_bytes());
        bytes[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
        compressed(100, RLE, 16, vec![vec![], bytes])
    };
    vec![
        (
            "deflated copies",
            vec![zeros(3000, 0, DEFLATED), zeros(3000, 1, DEFLATED)],
            "too large to be compared",
        ),
        (
            "small deflated copies",
            vec![zeros(100, 0, DEFLATED), zeros(100, 0, EXPLICIT)],
            "1 stacks",
        ),
        (
            "precincts",
            twice(&bomb),
            "more tiles, precincts or code-blocks than their pixels need",
        ),
        (
            "a component's precincts before those of all",
            twice(&before),
            "a style of one component is not supported",
        ),
        (
            "a component's precincts behind those of all",
            twice(&behind),
            "a style of one component is not supported",
        ),
        (
            "a component's precincts within those of all",
            twice(&hidden),
            "a marker segment is longer than its content",
        ),
        ("runs", vec![rle(0), rle(1)], "1 stacks"),
        (
            "segments that lie",
            vec![lying(64), lying(u32::MAX)],
            "out of place",
        ),
        (
            "65535 columns and rows",
            vec![
                compressed(
                    65535,
                    JPEG_LS,
                    16,
                    vec![vec![], vec![0xff, 0xd8, 0xff, 0xd9]],
                ),
                compressed(
                    65535,
                    JPEG_LS,
                    16,
                    vec![vec![], vec![0xff, 0xd8, 0xff, 0xd8]],
                ),
            ],
            "cannot hold",
        ),
        (
            "fragments",
            vec![
                compressed(3, RLE, 16, vec![vec![]; 200_000]),
                compressed(3, RLE, 16, vec![vec![]; 200_001]),
            ],
            "1 stacks",
        ),
        (
            "offsets",
            vec![
                compressed(3, RLE, 16, vec![vec![0; 1 << 20]]),
                compressed(3, RLE, 16, vec![vec![1; 1 << 20]]),
            ],
            "1 stacks",
        ),
    ]
}
