//! Expensive files: each is inspected within the bounds.
#![cfg(target_os = "linux")]

mod bounds;
mod dicom_files;
mod synthetic;

use std::fs;
use std::path::Path;

use bounds::Complaints;
use dicom_files::*;
use tempfile::tempdir;

const JPEG_LS: &str = "1.2.840.10008.1.2.4.80";
const JPEG_2000: &str = "1.2.840.10008.1.2.4.90";

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

/// Files by name, with the expected report.
type Case = (&'static str, Vec<Vec<u8>>, &'static str);

const ITEM: [u8; 8] = [0xfe, 0xff, 0x00, 0xe0, 0xff, 0xff, 0xff, 0xff];
const EMPTY_ITEM: [u8; 8] = [0xfe, 0xff, 0x00, 0xe0, 0, 0, 0, 0];

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

/// Headers of many frames.
fn of_frames() -> Vec<Case> {
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

/// Endless data sets.
fn of_elements() -> Vec<Case> {
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

/// Pixels that are compared.
fn of_pixels() -> Vec<Case> {
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

fn of_structures() -> Vec<Case> {
    let contour = structures::contour("POINT", &[[0.; 3]]);
    let many = vec![Elements::default(); 200_000];
    let set = structures::structure_set(&[("a", 1, many)], None);
    let points = structures::structure_set(&[("a", 1, vec![contour; 20_000])], None);
    let corners: Vec<[f64; 3]> = (0..40_000)
        .map(|index| [f64::from(index % 2), 0., 0.])
        .collect();
    let long = structures::contour("CLOSED_PLANAR", &corners);
    let long = structures::structure_set(&[("a", 1, vec![long])], None);
    vec![
        ("empty contours", vec![set.file(EXPLICIT)], "1 regions"),
        ("points", vec![points.file(EXPLICIT)], "1 regions"),
        ("a long contour", vec![long.file(IMPLICIT)], "1 regions"),
        ("deflated contours", vec![set.file(DEFLATED)], "regions"),
    ]
}

/// NIfTI files, by name: compressed zeros after headers that state large volumes.
fn of_nifti() -> Vec<(&'static str, Vec<u8>)> {
    let header = |dim: [i64; 3], offset: f64| {
        let fields = synthetic::Fields {
            dim: [vec![3], dim.to_vec()].concat(),
            voxel_offset: offset,
            ..synthetic::Fields::default()
        };
        fields.version(1)
    };
    let zeros = |count: usize| vec![0; count];
    let bomb = header([1024, 1024, 128], 352.0).single(&zeros(128 << 20));
    let long_row = header([32_000, 32_000, 1], 352.0).single(&zeros(1));
    let mut far = header([2, 2, 2], 352.0);
    far.voxel_offset = 2e9;
    let mut members = Vec::new();
    for _ in 0..50_000 {
        members.extend(synthetic::gzip(&[]));
    }
    vec![
        ("bomb.nii.gz", synthetic::gzip(&bomb)),
        ("row.nii", long_row.clone()),
        ("row.nii.gz", synthetic::gzip(&long_row)),
        ("far.nii.gz", synthetic::gzip(&far.header())),
        ("members.nii.gz", members),
    ]
}

fn save_files(folder: &Path, files: &[Vec<u8>]) {
    for (index, bytes) in files.iter().enumerate() {
        save(folder, &format!("{index}"), bytes);
    }
}

#[test]
fn looks_in_a_child() {
    bounds::child();
}

#[test]
fn looking_at_files_stays_within_bounds() {
    let mut complaints = Complaints::default();
    let cases = [of_frames, of_elements, of_pixels, of_structures];
    for (name, files, expected) in cases.into_iter().flat_map(|cases| cases()) {
        let folder = tempdir().unwrap();
        save_files(folder.path(), &files);
        complaints.look(name, folder.path(), expected);
    }
    for (name, bytes) in of_nifti() {
        let folder = tempdir().unwrap();
        complaints.look(name, &save(folder.path(), name, &bytes), "");
    }

    // Slices of one file each at one place: copies, and others.
    let folder = tempdir().unwrap();
    for index in 0..3_000_u16 {
        let slice = image()
            .text(INSTANCE, b"UI", &format!("{MADE_UP}.{index}"))
            .pixels(&[index % 2; 6]);
        save(folder.path(), &index.to_string(), &slice.file(EXPLICIT));
    }
    complaints.look("slices at one place", folder.path(), "several slices");

    // Stacks that all miss the same files.
    let folder = tempdir().unwrap();
    for index in 0..2_000 {
        let slice = image().text(SERIES, b"UI", &format!("1.2.{index}"));
        save(folder.path(), &format!("a{index}"), &slice.file(EXPLICIT));
        save(
            folder.path(),
            &format!("b{index}"),
            &image().file(EXPLICIT)[..180],
        );
    }
    complaints.look("stacks that miss files", folder.path(), "2000 stacks");

    // A DICOMDIR that names absent files.
    let folder = tempdir().unwrap();
    let record =
        |index: usize| Elements::default().text((0x0004, 0x1500), b"CS", &format!("A\\{index}"));
    let records = Elements::default().value(
        (0x0004, 0x1220),
        b"SQ",
        Value::Items((0..50_000).map(record).collect()),
    );
    let path = save(folder.path(), "DICOMDIR", &records.file(EXPLICIT));
    complaints.look("a table of contents", &path, "names it");
}

#[test]
fn files_that_once_cost_much_stay_within_bounds() {
    let Some(hostile) = synthetic::shared_data("hostile") else {
        return;
    };
    let mut complaints = Complaints::default();
    for entry in fs::read_dir(&hostile).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !name.starts_with("poc") {
            continue;
        }
        // Data sets as they are sent: what a node puts before them is the meta information.
        let folder = tempdir().unwrap();
        let path = if name.ends_with(".ds") {
            let data_set = fs::read(&path).unwrap();
            save(folder.path(), &name, &[head(DEFLATED), data_set].concat())
        } else {
            path
        };
        complaints.look(&name, &path, "");
        if name == "poc5" {
            let found = dicom_files::reading::reasons(&path.join("a.dcm"));
            assert!(
                found
                    .iter()
                    .any(|reason| reason.contains("cannot be decoded")),
                "{found:?}"
            );
        }
    }
}
