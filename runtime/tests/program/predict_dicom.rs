//! `vesal predict` on DICOM: series as cases, results, and refusals.

mod series;

use std::fs;
use std::path::Path;

use crate::dicom_files::SENTINEL;
use crate::support::{self, Ran, bundle, direct_labels, listing, predict, region_bundle, scan};
use crate::support_dicom::{About, slices, write};
use serde_json::Value;
use tempfile::tempdir;
use vesal_io::{image, nifti};
use vesal_volume::Volume;

const SHAPE: [usize; 3] = [9, 7, 6];

fn json(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{}{}", ran.stdout, ran.stderr))
}

/// The scan rounded to its gray values.
fn held(volume: &Volume) -> Volume {
    Volume {
        data: volume.data.mapv(|value| (value * 4096.0).round() / 4096.0),
        affine: volume.affine,
    }
}

fn contains(path: &Path, text: &str) -> bool {
    let bytes = fs::read(path).unwrap();
    bytes
        .windows(text.len())
        .any(|part| part == text.as_bytes())
}

#[test]
fn a_series_gives_every_format_of_result() {
    let folder = tempdir().unwrap();
    let (input, out) = (folder.path().join("study"), folder.path().join("out"));
    let volume = scan(SHAPE);
    write(&input, &slices(&volume, About::default()));
    let bundle = bundle(folder.path());
    let ran = predict(
        &bundle,
        &[&input],
        &out,
        &["--format", "report,seg,nifti,labelmap,rtstruct", "--json"],
    );
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(
        listing(&out),
        [
            "1.2.1_labelmap.dcm",
            "1.2.1_report.dcm",
            "1.2.1_rtstruct.dcm",
            "1.2.1_seg.dcm",
            "1.2.1_seg.nii.gz"
        ]
    );
    let labels = image::read_label_map(out.join("1.2.1_seg.nii.gz")).unwrap();
    assert_eq!(labels.data, direct_labels(&held(&volume)));
    // Left and posterior grow along columns and rows, turned by 0.3 about the patient's axis.
    let (sin, cos) = 0.3_f64.sin_cos();
    let expected = [
        [-1.5 * cos, 1.25 * sin, 0.0, -10.0],
        [-1.5 * sin, -1.25 * cos, 0.0, -20.0],
        [0.0, 0.0, 2.5, -30.0],
    ];
    for (row, expected) in labels.affine.0.iter().zip(expected) {
        for (found, expected) in row.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-5, "{:?}", labels.affine);
        }
    }
    let record = json(&ran);
    let case = &record["cases"][0];
    assert_eq!(case["case"], "1.2.1");
    assert_eq!(case["input"][0], "1.2.1");
    assert_eq!(case["series"][0]["grade"], "ok");
    assert_eq!(case["series"][0]["study"], "1.2");
    assert_eq!(case["series"][0]["slices"], 6);
    let formats: Vec<_> = case["outputs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|output| output["format"].as_str().unwrap())
        .collect();
    assert_eq!(formats, ["nifti", "seg", "labelmap", "rtstruct", "report"]);
    // The device is the bundle, by its name and digest.
    let digest = record["bundle"]["digest"].as_str().unwrap();
    for name in ["seg.dcm", "labelmap.dcm", "report.dcm"] {
        let path = out.join(format!("1.2.1_{name}"));
        assert!(
            contains(&path, digest) && contains(&path, "1.2.0"),
            "{name}"
        );
        assert!(contains(&path, "geometry ok"), "{name}");
        assert!(contains(&path, SENTINEL), "{name}");
    }
    // The patient is in DICOM results and nowhere else.
    assert!(!ran.stdout.contains(SENTINEL) && !ran.stderr.contains(SENTINEL));
    assert!(!contains(&out.join("1.2.1_seg.nii.gz"), SENTINEL));
}

#[test]
fn a_segmentation_is_what_a_series_gives_by_default() {
    let folder = tempdir().unwrap();
    let (input, out) = (folder.path().join("study"), folder.path().join("out"));
    write(&input, &slices(&scan(SHAPE), About::default()));
    let bundle = bundle(folder.path());
    // Files given one by one are one series as well.
    let files: Vec<_> = listing(&input)
        .iter()
        .map(|name| input.join(name))
        .collect();
    let files: Vec<&Path> = files.iter().map(|file| file.as_path()).collect();
    let ran = predict(&bundle, &files, &out, &[]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(listing(&out), ["1.2.1_seg.dcm"]);
    // The same input gives the same UIDs, and does not overwrite the first result.
    let uids = |folder: &Path| {
        let bytes = fs::read(folder.join("1.2.1_seg.dcm")).unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let uids = text.split("2.25.").skip(1);
        uids.map(|rest| rest.chars().take_while(char::is_ascii_digit).collect())
            .collect::<Vec<String>>()
    };
    let again = folder.path().join("again");
    assert_eq!(predict(&bundle, &[&input], &again, &[]).code, Some(0));
    assert!(!uids(&out).is_empty());
    assert_eq!(uids(&out), uids(&again));
    assert_eq!(predict(&bundle, &[&input], &again, &[]).code, Some(6));
}

#[test]
fn the_grade_of_the_geometry_is_in_every_output() {
    let folder = tempdir().unwrap();
    let (input, out) = (folder.path().join("study"), folder.path().join("out"));
    let mut images = slices(&scan(SHAPE), About::default());
    images.remove(3);
    write(&input, &images);
    let bundle = bundle(folder.path());
    let report = folder.path().join("run.json");
    let flags = ["--json", "--report", report.to_str().unwrap()];
    let ran = predict(&bundle, &[&input], &out, &flags);
    assert_eq!(ran.code, Some(3), "{}", ran.stdout);
    assert!(
        ran.stderr
            .contains("series 1.2.1 is refused: slices missing: 1, in gaps: 1")
            && ran.stderr.contains("`--geometry resample`"),
        "{}",
        ran.stderr
    );
    let record: Value = serde_json::from_slice(&fs::read(&report).unwrap()).unwrap();
    assert_eq!(record["cases"][0]["status"], "failed");
    assert_eq!(record["cases"][0]["series"][0]["grade"], "refused");
    assert_eq!(listing(&out), [""; 0]);

    let flags = [
        "--json",
        "--geometry",
        "resample",
        "--format",
        "nifti,seg,labelmap,rtstruct,report",
    ];
    let ran = predict(&bundle, &[&input], &out, &flags);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let record = json(&ran);
    let case = &record["cases"][0];
    assert_eq!(case["series"][0]["grade"], "resampled");
    let warning = case["warnings"][0].as_str().unwrap();
    assert!(
        warning.starts_with("channel `image` is resampled: slices missing: 1"),
        "{warning}"
    );
    for name in listing(&out) {
        if name.ends_with(".dcm") {
            assert!(contains(&out.join(&name), "geometry resampled"), "{name}");
        }
    }
    let header = nifti::read_header(out.join("1.2.1_seg.nii.gz")).unwrap();
    assert_eq!(header.dimensions, SHAPE.to_vec());
    let mut text = Vec::new();
    let file = fs::File::open(out.join("1.2.1_seg.nii.gz")).unwrap();
    std::io::Read::read_to_end(&mut flate2::read::MultiGzDecoder::new(file), &mut text).unwrap();
    assert!(text[148..228].starts_with(b"Vesal; geometry resampled\0"));
}

#[test]
fn formats_that_cannot_be_are_refused_before_any_work() {
    let folder = tempdir().unwrap();
    let (input, out) = (folder.path().join("study"), folder.path().join("out"));
    write(&input, &slices(&scan(SHAPE), About::default()));
    let nifti = folder.path().join("a.nii.gz");
    support::write_scan(&nifti, &scan(SHAPE));
    let (bundle, regions) = (bundle(folder.path()), region_bundle(folder.path()));
    let cases: [(&Path, &Path, &str, i32, &str); 3] = [
        (&bundle, &input, "report", 2, "neither is written"),
        (&regions, &input, "labelmap", 2, "regions that may overlap"),
        (&bundle, &nifti, "seg", 3, "the scan is an image file"),
    ];
    for (bundle, input, format, code, message) in cases {
        let ran = predict(bundle, &[input], &out, &["--format", format]);
        assert_eq!(ran.code, Some(code), "{}", ran.stderr);
        assert!(ran.stderr.contains(message), "{}", ran.stderr);
        assert_eq!(listing(&out), [""; 0]);
    }
    let ran = predict(
        &regions,
        &[&input],
        &out,
        &["--format", "seg,report,rtstruct"],
    );
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(listing(&out).len(), 3);
}

#[test]
fn codes_of_labels_are_those_of_the_rules() {
    let folder = tempdir().unwrap();
    let (input, out) = (folder.path().join("study"), folder.path().join("out"));
    write(&input, &slices(&scan(SHAPE), About::default()));
    let rules = folder.path().join("rules.json");
    fs::write(
        &rules,
        r#"{"format": "vesal-dicom-rules", "format_version": 1, "labels": {"bone": {
            "category": {"value": "91723000", "scheme": "SCT", "meaning": "Anatomical Structure"},
            "type": {"value": "71341001", "scheme": "SCT", "meaning": "Femur"},
            "modifier": {"value": "7771000", "scheme": "SCT", "meaning": "Left"}}}}"#,
    )
    .unwrap();
    let bundle = bundle(folder.path());
    let flags = [
        "--dicom-rules",
        rules.to_str().unwrap(),
        "--format",
        "seg,report",
    ];
    let ran = predict(&bundle, &[&input], &out, &flags);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    for name in ["1.2.1_seg.dcm", "1.2.1_report.dcm"] {
        for text in ["71341001", "Femur", "7771000", "bone"] {
            assert!(contains(&out.join(name), text), "{name} {text}");
        }
    }
}

#[test]
fn a_case_that_cannot_be_written_whole_leaves_nothing() {
    let folder = tempdir().unwrap();
    let (input, out) = (folder.path().join("study"), folder.path().join("out"));
    write(&input, &slices(&scan(SHAPE), About::default()));
    let bundle = bundle(folder.path());
    let blocked = out.join("1.2.1_seg.dcm");
    fs::create_dir_all(&blocked).unwrap();
    let flags = ["--format", "nifti,seg", "--overwrite"];
    let ran = predict(&bundle, &[&input], &out, &flags);
    assert_eq!(ran.code, Some(6), "{}", ran.stderr);
    assert_eq!(listing(&out), ["1.2.1_seg.dcm"]);
}

#[test]
fn texts_of_headers_do_not_reach_the_terminal_raw() {
    let folder = tempdir().unwrap();
    let input = folder.path().join("study");
    let about = About {
        description: "a\u{1b}[31mred\u{7}\nline",
        ..About::default()
    };
    write(&input, &slices(&scan(SHAPE), about));
    let ran = support::run(["inspect".as_ref(), input.as_os_str()]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stdout.contains("  a[31mredline  "), "{}", ran.stdout);
    assert!(!ran.stdout.contains('\u{1b}'));
}
