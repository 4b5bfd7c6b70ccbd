//! Texts of foreign files and their names reach a terminal as text: they cannot control it or forge lines.
#![cfg(unix)]

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use crate::dicom_files::structures::{contour, structure_set};
use crate::dicom_files::{EXPLICIT, IMAGE_TYPE, save};
use crate::support::{Ran, named_bundle, predict, run, scan, write_scan};
use crate::support_dicom::{About, slices, write};
use tempfile::tempdir;

const SHAPE: [usize; 3] = [9, 7, 6];

/// Every kind of terminal control sequence, and a line that looks like output of the program.
const HOSTILE: &str =
    "x\u{1b}[2J\u{1b}]0;t\u{7}\u{9b}31m\u{202e}y\u{2066}\u{200b}\r\nforged  ok\n\ttab\u{8}\u{7f}";

/// The same without control characters, which names in bundles cannot have.
const TURNED: &str = "x\u{202e}y\u{2066}z\u{200b}w";

/// Checks that text is safe: no control characters except line ends of the program, and no line begins with foreign
/// text.
fn check(text: &str, what: &str) {
    let obeyed = |c: char| {
        c.is_control() && c != '\n'
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    let found = text.chars().find(|c| obeyed(*c));
    assert_eq!(found, None, "{what}: {text:?}");
    let forged = text
        .lines()
        .find(|line| line.trim_start().starts_with("forged"));
    assert_eq!(forged, None, "{what}: {text:?}");
}

fn safe(ran: &Ran, what: &str) {
    check(&ran.stdout, what);
    check(&ran.stderr, what);
}

/// A file name with the same sequences, without slashes.
fn hostile_name(ending: &str) -> String {
    format!("{HOSTILE}{ending}")
}

#[test]
fn no_text_output_gives_orders_or_forges_lines() {
    let folder = tempdir().unwrap();
    let input = folder.path().join(hostile_name(""));
    let about = About {
        description: HOSTILE,
        ..About::default()
    };
    write(&input, &slices(&scan(SHAPE), about));
    // A second phase at the same places, distinguished by a hostile image type.
    let other = slices(&scan(SHAPE), about).into_iter().enumerate();
    let other = other.map(|(index, image)| {
        image.text(IMAGE_TYPE, b"CS", HOSTILE).text(
            (0x0008, 0x0018),
            b"UI",
            &format!("1.2.1.{}", 500 + index),
        )
    });
    for (index, image) in other.enumerate() {
        save(
            &input,
            &hostile_name(&index.to_string()),
            &image.file(EXPLICIT),
        );
    }
    save(&input, &hostile_name(".txt"), b"no image at all");
    let bundle = named_bundle(folder.path(), TURNED, TURNED, TURNED);
    let out = folder.path().join(hostile_name("out"));

    let inspected = run([OsStr::new("inspect"), input.as_os_str()]);
    assert_eq!(inspected.code, Some(0), "{}", inspected.stderr);
    safe(&inspected, "inspect of a folder");
    // The content is still readable.
    assert!(
        inspected.stdout.contains(r"x\u{1b}[2J"),
        "{}",
        inspected.stdout
    );
    let ran = run([OsStr::new("inspect"), bundle.as_os_str()]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stdout.contains(r"x\u{202e}y"), "{}", ran.stdout);
    safe(&ran, "inspect of a bundle");
    let nothing = folder.path().join(hostile_name("absent"));
    let ran = run([OsStr::new("inspect"), nothing.as_os_str()]);
    assert_eq!(ran.code, Some(3));
    safe(&ran, "inspect of nothing");

    let ran = predict(&bundle, &[&input], &out, &[]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    safe(&ran, "predict");
    let ran = predict(&bundle, &[&input], &out, &[]);
    assert_eq!(ran.code, Some(6), "{}", ran.stderr);
    safe(&ran, "predict over results");
    let ran = predict(&bundle, &[&nothing], &out, &[]);
    assert_eq!(ran.code, Some(3));
    safe(&ran, "predict of nothing");
    let unknown = format!("{HOSTILE}=4");
    let ran = predict(&bundle, &[&input], &out, &["--series", &unknown]);
    assert_eq!(ran.code, Some(2));
    safe(&ran, "predict of an unknown channel");
    let ran = predict(&bundle, &[&input], &out, &["--json", "--overwrite"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    safe(&ran, "predict as JSON");

    // NIfTI files are cases by their names.
    let scans = folder.path().join(hostile_name("scans"));
    write_scan(&scans.join(hostile_name(".nii.gz")), &scan(SHAPE));
    fs::write(scans.join(hostile_name("damaged.nii.gz")), b"no image").unwrap();
    let ran = predict(&bundle, &[&scans], &out, &[]);
    assert_eq!(ran.code, Some(7), "{}", ran.stderr);
    safe(&ran, "predict of a batch");
    let ran = run([
        OsStr::new("inspect"),
        scans.join(hostile_name(".nii.gz")).as_os_str(),
    ]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    safe(&ran, "inspect of a volume");

    let evaluate = |truth: &Path, flags: &[&str]| {
        let mut arguments = vec![
            OsStr::new("evaluate"),
            OsStr::new("--truth"),
            truth.as_os_str(),
        ];
        arguments.extend([OsStr::new("--prediction"), out.as_os_str()]);
        arguments.extend(flags.iter().map(OsStr::new));
        run(arguments)
    };
    let truth = folder.path().join("truth");
    fs::create_dir(&truth).unwrap();
    let result = out.join(hostile_name("_seg.nii.gz"));
    fs::copy(&result, truth.join(hostile_name(".nii.gz"))).unwrap();
    fs::copy(&result, truth.join(hostile_name("b.nii.gz"))).unwrap();
    let ran = evaluate(&truth, &[]);
    assert_eq!(ran.code, Some(7), "{}", ran.stderr);
    safe(&ran, "evaluate");
    safe(&evaluate(&nothing, &[]), "evaluate of nothing");
}

#[test]
fn conversions_give_no_orders_either() {
    let folder = tempdir().unwrap();
    let input = folder.path().join(hostile_name(""));
    write(&input, &slices(&scan(SHAPE), About::default()));
    save(&input, &hostile_name(".txt"), b"no image at all");
    let corners = [
        [10.0, 20.0, -30.0],
        [12.0, 20.0, -30.0],
        [12.0, 22.0, -30.0],
    ];
    let set = structure_set(
        &[(HOSTILE, 1, vec![contour("CLOSED_PLANAR", &corners)])],
        Some(("1.2.1", &[])),
    );
    save(&input, &hostile_name("set"), &set.file(EXPLICIT));
    let convert = |structures: &str| {
        let out = folder.path().join(hostile_name("out"));
        run([
            OsStr::new("convert"),
            OsStr::new("--input"),
            input.as_os_str(),
            OsStr::new("--output"),
            out.as_os_str(),
            OsStr::new("--overwrite"),
            OsStr::new("--structures"),
            OsStr::new(structures),
        ])
    };
    for structures in ["liver=1", "x*=1", &format!("{HOSTILE}=2")] {
        let ran = convert(structures);
        assert!(matches!(ran.code, Some(0 | 7)), "{}", ran.stderr);
        safe(&ran, structures);
    }
}
