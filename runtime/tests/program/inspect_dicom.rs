//! `inspect` of DICOM files, as text and JSON, without anything that names a patient.

use std::ffi::OsStr;
use std::fs;

use crate::dicom_files::{
    EXPLICIT, IMAGE_TYPE, PIXELS, RLE, SERIES, Value, save, save_all, series,
};
use crate::support::{run, without_path};
use serde_json::Value as Json;
use tempfile::tempdir;

#[test]
fn stacks_are_listed_with_their_grades() {
    let folder = tempdir().unwrap();
    let at = |name: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(&path).unwrap();
        path
    };
    let numbered = |slices: usize, number: &str| {
        let uid = format!("1.2.{number}");
        series(slices)
            .into_iter()
            .map(|image| {
                image
                    .text(SERIES, b"UI", &uid)
                    .text((0x0020, 0x0011), b"IS", number)
            })
            .collect::<Vec<_>>()
    };
    save_all(&at("a"), &numbered(4, "1"), EXPLICIT);
    let mut gap = numbered(6, "2");
    gap.remove(2);
    save_all(&at("b"), &gap, EXPLICIT);
    let mut conflict = numbered(3, "3");
    conflict.push(conflict[0].clone().pixels(&[7; 6]));
    save_all(&at("c"), &conflict, EXPLICIT);
    let localizer = series(1)
        .remove(0)
        .text(IMAGE_TYPE, b"CS", "ORIGINAL\\PRIMARY\\LOCALIZER");
    save(&at("d"), "x", &localizer.file(EXPLICIT));
    save(&at("d"), "notes.txt", b"no image");
    // A copy of a slice that cannot be decoded hides nothing else.
    save_all(&at("f"), &numbered(3, "5"), EXPLICIT);
    let nothing = Value::Fragments(vec![vec![], vec![0; 64]]);
    let copy = numbered(3, "5").remove(0).value(PIXELS, b"OB", nothing);
    save(&at("f"), "copy", &copy.file(RLE));

    let ran = run(["inspect".as_ref(), folder.path().as_os_str()]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(!ran.stdout.contains("SENTINEL"));
    insta::assert_snapshot!("inspect_dicom", without_path(&ran.stdout, folder.path()));

    let ran = run([
        "inspect".as_ref(),
        folder.path().as_os_str(),
        "--json".as_ref(),
    ]);
    assert!(!ran.stdout.contains("SENTINEL"));
    let found: Json = serde_json::from_str(&ran.stdout).unwrap();
    let item = &found["items"][0];
    assert_eq!(item["kind"], "dicom");
    let grades: Vec<&str> = item["stacks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|stack| stack["grade"].as_str().unwrap())
        .collect();
    assert_eq!(grades, ["ok", "resampled", "refused", "refused"]);
    assert_eq!(
        item["stacks"][0]["grid"]["shape"],
        Json::from(vec![3, 2, 4])
    );
    assert_eq!(item["stacks"][2]["grid"], Json::Null);
    assert_eq!(item["skipped"].as_array().unwrap().len(), 2);

    // A single file, and an empty folder, which is neither bundle nor series.
    let ran = run(["inspect".as_ref(), at("d").join("x").as_os_str()]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(
        ran.stdout.ends_with("it is a localizer\n"),
        "{}",
        ran.stdout
    );
    let ran = run([OsStr::new("inspect"), at("e").as_os_str()]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert!(
        ran.stderr
            .contains("is not a bundle and contains no DICOM files"),
        "{}",
        ran.stderr
    );
}
