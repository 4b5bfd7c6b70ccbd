//! Malicious files: each gives a reason, never a panic, and costs no memory out of proportion to its size. A single
//! test, because others in its process would disturb the measurement.
#![cfg(target_os = "linux")]

mod dicom_files;

use std::fs;

use dicom_files::reading::reasons;
use dicom_files::*;
use tempfile::tempdir;
use vesal_io::dicom::{Policy, scan};
use vesal_io::image::ReadLimits;

/// A figure of the process in bytes.
fn status(name: &str) -> u64 {
    let text = fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
    let kib = line.split_whitespace().nth(1).unwrap();
    kib.parse::<u64>().unwrap() << 10
}

/// Peak memory of `work` beyond that in use before; zero where that cannot be measured.
fn peak<T>(work: impl FnOnce() -> T) -> (T, u64) {
    // 5 sets the highest resident size to the current one.
    let measured = fs::write("/proc/self/clear_refs", "5").is_ok();
    let before = status("VmRSS");
    let result = work();
    let taken = if measured {
        status("VmHWM").saturating_sub(before)
    } else {
        0
    };
    (result, taken)
}

const MIB: u64 = 1 << 20;

fn element(tag: Tag, vr: &[u8; 2], length: u32) -> Vec<u8> {
    let mut bytes = [tag.0.to_le_bytes(), tag.1.to_le_bytes()].concat();
    bytes.extend(vr);
    bytes.extend([0; 2]);
    bytes.extend(length.to_le_bytes());
    bytes
}

const ITEM: [u8; 8] = [0xfe, 0xff, 0x00, 0xe0, 0xff, 0xff, 0xff, 0xff];
const ITEM_END: [u8; 8] = [0xfe, 0xff, 0x0d, 0xe0, 0, 0, 0, 0];
const SEQUENCE_END: [u8; 8] = [0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0];

#[test]
fn attacks_are_refused_at_no_cost() {
    let folder = tempdir().unwrap();
    let with = |bytes: &[u8]| [head(EXPLICIT), bytes.to_vec()].concat();
    let sequence = element((0x0008, 0x1115), b"SQ", u32::MAX);
    let defined = |length| element((0x0008, 0x1115), b"SQ", length);
    let bomb_header = {
        // A header of zeros that inflates to 300 MiB.
        let mut image = image();
        image = image.value((0x0009, 0x0010), b"UN", Value::Bytes(vec![0; 300 << 20]));
        image.file(DEFLATED)
    };
    let bomb_pixels = image().short(ROWS, 60000).short(COLUMNS, 60000).value(
        PIXELS,
        b"OW",
        Value::Bytes(vec![0; 1 << 20]),
    );
    let small = |rows: u16| {
        image()
            .numbers((0x0018, 0x0050), &[1.])
            .short(ROWS, rows)
            .short(COLUMNS, rows)
    };
    let compressed = |rows: u16, bytes: &[u8], syntax: &str| {
        let value = Value::Fragments(vec![vec![], bytes.to_vec()]);
        small(rows).value(PIXELS, b"OB", value).file(syntax)
    };
    let mut jpeg = vec![0xff, 0xd8, 0xff, 0xc3, 0, 11, 16];
    jpeg.extend([0xff; 4]);
    jpeg.extend([1, 1, 0x11, 0]);
    let rle = [
        vec![2, 0, 0, 0, 64, 0, 0, 0, 70, 0, 0, 0],
        vec![0; 52],
        [129, 0].repeat(50),
    ]
    .concat();
    let last = "1.2.840.10008.1.2.4.";
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        (
            "deep",
            with(&[&sequence[..], &ITEM[..]].concat().repeat(100_000)),
            "more than 64 levels deep",
        ),
        (
            "stray item end",
            with(&[ITEM_END, ITEM, ITEM].concat()),
            "(FFFE,E00D) is out of place",
        ),
        (
            "stray sequence end",
            with(&SEQUENCE_END),
            "(FFFE,E0DD) is out of place",
        ),
        ("stray item", with(&ITEM), "(FFFE,E000) is out of place"),
        (
            "no item",
            with(&[&sequence[..], &sequence[..]].concat()),
            "(0008,1115) is out of place",
        ),
        (
            "long text",
            with(&element((0x0008, 0x0008), b"UT", 0xffff_fff0)),
            "ends within an element",
        ),
        (
            "long unknown",
            with(&element((0x0009, 0x0008), b"UN", 0x7fff_fff0)),
            "ends within an element",
        ),
        (
            "long sequence",
            with(&defined(0xffff_fff0)),
            "ends within an element",
        ),
        (
            "item beyond its sequence",
            with(
                &[
                    &element(PER_FRAME, b"SQ", 8)[..],
                    &[0xfe, 0xff, 0, 0xe0, 4, 0, 0, 0, 1, 2, 3, 4],
                ]
                .concat(),
            ),
            "reaches beyond",
        ),
        (
            "no representation",
            with(&[8, 0, 8, 0, 1, 2, 0, 0]),
            "(0008,0008) at byte 160 has no value",
        ),
        ("half a tag", with(&[8, 0, 8]), "ends within an element"),
        (
            "no syntax",
            head(EXPLICIT)[..132].to_vec(),
            "(0002,0010) is absent",
        ),
        (
            "inflating header",
            bomb_header,
            "its header goes on for more than",
        ),
        (
            "inflating pixels",
            bomb_pixels.file(DEFLATED),
            "its pixels take 7200000000 bytes",
        ),
        (
            "no deflate stream",
            [head(DEFLATED), vec![0xff; 64]].concat(),
            "deflate stream is damaged",
        ),
        (
            "lying rows",
            small(60000).file(EXPLICIT),
            "its pixels take 7200000000 bytes, found 12",
        ),
        (
            "lying JPEG",
            compressed(2, &jpeg, &format!("{last}70")),
            "[65535, 65535] columns and rows",
        ),
        (
            "empty JPEG",
            compressed(60000, &jpeg, &format!("{last}70")),
            "cannot hold",
        ),
        (
            "empty JPEG-LS",
            compressed(60000, &[0xff; 90], &format!("{last}80")),
            "cannot hold",
        ),
        (
            "empty JPEG 2000",
            compressed(60000, &[0xff; 90], &format!("{last}90")),
            "cannot hold",
        ),
        ("inflating RLE", compressed(60000, &rle, RLE), "cannot hold"),
        (
            "no JPEG",
            compressed(2, &[1, 2, 3], &format!("{last}50")),
            "do not start as JPEG does",
        ),
        (
            "no JPEG-LS",
            compressed(2, &[1, 2, 3], &format!("{last}81")),
            "do not start as JPEG-LS does",
        ),
        (
            "no JPEG 2000",
            compressed(2, &[1, 2, 3], &format!("{last}91")),
            "no JPEG 2000 codestream",
        ),
        (
            "native, said to be JPEG",
            small(2).file(&format!("{last}50")),
            "does not hold fragments",
        ),
        (
            "JPEG, said to be native",
            compressed(2, &[1, 2, 3], EXPLICIT),
            "its pixels take 8 bytes, found 0",
        ),
        (
            "long fragment",
            {
                let file = small(2)
                    .value(PIXELS, b"OB", Value::Bytes(vec![]))
                    .file(RLE);
                let mut file = file[..file.len() - 4].to_vec();
                file.extend([0xff; 4]);
                file.extend([&ITEM[..4], &[0; 4], &ITEM[..4], &[0xf0, 0xff, 0xff, 0xff]].concat());
                file
            },
            "a fragment of 4294967280 bytes is stated where 0 are left",
        ),
    ];
    // Starts the threads of the pool before anything is measured.
    rayon::join(|| (), || ());
    for (name, bytes, expected) in cases {
        let path = save(folder.path(), &name.replace(' ', "_"), &bytes);
        drop(bytes);
        let (found, taken) = peak(|| reasons(&path));
        assert!(
            found.iter().any(|reason| reason.contains(expected)),
            "{name}: {found:?}, expected {expected}"
        );
        assert!(
            !found.iter().any(|reason| reason.contains("SENTINEL")),
            "{name}: {found:?}"
        );
        assert!(taken <= 4 * MIB, "{name} takes {taken} bytes");
    }

    // A volume takes twice what its pixels of 16 bits do, and 16 slices.
    let series: Vec<Elements> = (0..64)
        .map(|k| {
            image()
                .at([0., 0., f64::from(k)])
                .short(ROWS, 512)
                .short(COLUMNS, 512)
                .value(PIXELS, b"OW", Value::Bytes(vec![k as u8; 2 * 512 * 512]))
        })
        .collect();
    let below = folder.path().join("series");
    fs::create_dir(&below).unwrap();
    save_all(&below, &series, EXPLICIT);
    drop(series);
    let found = scan(&[&below]).unwrap();
    let assessment = found.stacks[0].assess(Policy::Strict).unwrap();
    let (volume, taken) = peak(|| assessment.read(&ReadLimits::default()).unwrap());
    let planned = assessment.peak_bytes(rayon::current_num_threads());
    assert!(planned <= (64 + 16 + 9 * rayon::current_num_threads() as u64) * MIB);
    assert!(taken <= planned + 4 * MIB, "{taken}");
    drop(volume);
}
