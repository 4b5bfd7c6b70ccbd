//! Headers of many frames.

use crate::Case;
use crate::dicom_files::*;

fn item(group: u16, element: u16, content: Elements) -> Elements {
    Elements::default().value((group, element), b"SQ", Value::Items(vec![content]))
}

fn position(at: [f64; 3]) -> Elements {
    item(0x0020, 0x9113, Elements::default().at(at))
}

fn stack_id(id: &str) -> Elements {
    item(
        0x0020,
        0x9111,
        Elements::default().text((0x0020, 0x9056), b"SH", id),
    )
}

fn turned(degrees: f64) -> Elements {
    let (sine, cosine) = degrees.to_radians().sin_cos();
    item(
        0x0020,
        0x9116,
        Elements::default().numbers(ORIENTATION, &[cosine, sine, 0., -sine, cosine, 0.]),
    )
}

fn spaced(between_rows: f64, between_columns: f64) -> Elements {
    let spacing = Elements::default().numbers(SPACING, &[between_rows, between_columns]);
    item(0x0028, 0x9110, spacing)
}

/// An enhanced image of one pixel of 8 bits for each of its frames.
fn frames(groups: Vec<Elements>) -> Elements {
    image()
        .text(SOP_CLASS, b"UI", ENHANCED_MR)
        .text(FRAMES, b"IS", &groups.len().to_string())
        .short(ROWS, 1)
        .short(COLUMNS, 1)
        .short(ALLOCATED, 8)
        .short(STORED, 8)
        .short(HIGH_BIT, 7)
        .short(SIGNED, 0)
        .value(PIXELS, b"OB", Value::Bytes(vec![0; groups.len()]))
        .value(PER_FRAME, b"SQ", Value::Items(groups))
}

/// An image whose every frame has one of two stack IDs, in turn.
fn turns(count: usize, syntax: &str) -> Vec<u8> {
    let groups = (0..count).map(|index| match index % 2 {
        0 => stack_id("a"),
        _ => Elements::default(),
    });
    frames(groups.collect()).file(syntax)
}

/// An image that states long texts, in a set of one byte a character, of everything that tells frames apart.
fn of_many_keys(image: &Elements) -> Vec<u8> {
    let long = Value::Bytes(vec![0xe9; 1024]);
    let texts = [
        (0x0008, 0x0008),
        (0x0008, 0x0032),
        (0x0018, 0x0081),
        (0x0018, 0x0086),
        (0x0018, 0x1060),
        (0x0020, 0x0012),
        (0x0020, 0x0100),
        (0x0054, 0x1300),
    ];
    let image = texts.into_iter().fold(image.clone(), |image, tag| {
        image.value(tag, b"UN", long.clone())
    });
    image
        .text((0x0008, 0x0005), b"CS", "ISO_IR 101")
        .file(EXPLICIT)
}

pub fn of_frames() -> Vec<Case> {
    let long = "DERIVED\\".repeat(120);
    let shared = |image: Elements| image.text(IMAGE_TYPE, b"CS", &long);
    let many = 20_000;
    let each = |group: &dyn Fn(usize) -> Elements| frames((0..many).map(group).collect());
    vec![
        (
            "frames without groups",
            vec![shared(each(&|_| Elements::default())).file(EXPLICIT)],
            "1 stacks",
        ),
        (
            "frames that differ in a word",
            vec![shared(each(&|index| stack_id(&index.to_string()))).file(EXPLICIT)],
            "20000 stacks",
        ),
        (
            "frames side by side",
            vec![
                shared(each(&|index| {
                    position([0.5 * (index % 100) as f64, 0.5 * (index / 100) as f64, 0.])
                }))
                .file(EXPLICIT),
            ],
            "off the line",
        ),
        (
            "frames that all lie otherwise",
            vec![shared(each(&|index| turned(0.12 * index as f64))).file(EXPLICIT)],
            "stacks",
        ),
        (
            "frames of as many spacings",
            vec![shared(each(&|index| spaced(1000. + 2e-5 * index as f64, 1e-3))).file(EXPLICIT)],
            "1 stacks",
        ),
        (
            "frames of spacings far apart",
            vec![
                shared(each(&|index| {
                    spaced(1e-3 * 1.002_f64.powi(index as i32 / 2), 1e-3)
                }))
                .file(EXPLICIT),
            ],
            "stacks",
        ),
        (
            "frames with the keys of all",
            vec![of_many_keys(&each(&|index| match index % 2 {
                0 => stack_id("a"),
                _ => stack_id(&index.to_string()),
            }))],
            "stacks",
        ),
        (
            "frames that take turns",
            vec![turns(30_000, DEFLATED)],
            "2 stacks",
        ),
        (
            "too many frames that take turns",
            vec![turns(300_000, DEFLATED)],
            "take more than",
        ),
        (
            "frames that take turns in several files",
            vec![turns(30_000, DEFLATED); 16],
            "take more than",
        ),
        (
            "frames of long texts",
            vec![frames(vec![stack_id(&"S".repeat(2000)); 100]).file(EXPLICIT)],
            "states 2000 bytes",
        ),
        (
            "a lying number of frames",
            vec![
                frames(vec![position([0.; 3])])
                    .text(FRAMES, b"IS", "2147483648")
                    .file(EXPLICIT),
            ],
            "2147483648 frames but 1 items",
        ),
        (
            "frames that are not there",
            vec![
                each(&|_| Elements::default())
                    .short(ROWS, 60000)
                    .short(COLUMNS, 60000)
                    .file(EXPLICIT),
            ],
            "its pixels take",
        ),
    ]
}
