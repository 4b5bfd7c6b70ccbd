//! Comparing label maps with the truth.

use std::fs;
use std::path::Path;

use crate::support::{Ran, run};
use ndarray::Array3;
use serde_json::Value;
use tempfile::tempdir;
use vesal_io::nifti::{WriteOptions, write_label_map};
use vesal_volume::{Affine, LabelMap};

/// A box of label 2 that begins at this voxel of the first axis.
fn write(path: &Path, start: usize, spacing: [f64; 3]) {
    let mut data = Array3::<u16>::zeros((12, 6, 6));
    data.slice_mut(ndarray::s![start..start + 4, 1..5, 1..5])
        .fill(2);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let map = LabelMap {
        data,
        affine: Affine::from_spacing(spacing),
    };
    write_label_map(path, &map, &WriteOptions::default()).unwrap();
}

fn evaluate(truth: &Path, prediction: &Path, flags: &[&str]) -> Ran {
    let (truth, prediction) = (truth.to_str().unwrap(), prediction.to_str().unwrap());
    let start = ["evaluate", "--truth", truth, "--prediction", prediction];
    run(start.iter().chain(flags))
}

#[test]
fn every_label_of_every_case_is_measured_and_averaged() {
    let folder = tempdir().unwrap();
    let (truth, out) = (folder.path().join("labels"), folder.path().join("out"));
    for (case, start) in [("a", 2), ("b", 3)] {
        write(&truth.join(format!("{case}.nii.gz")), 2, [2.0, 1.0, 1.0]);
        let file = out.join(format!("{case}_seg.nii.gz"));
        write(&file, start, [2.0, 1.0, 1.0]);
    }
    let ran = evaluate(&truth, &out, &["--json"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let found: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(found["cases"][0]["labels"]["2"]["dice"], 1.0);
    let moved = &found["cases"][1]["labels"]["2"];
    assert_eq!(
        (&moved["dice"], &moved["hausdorff95_mm"]),
        (&0.75.into(), &2.0.into())
    );
    assert!((moved["truth_ml"].as_f64().unwrap() - 0.128).abs() < 1e-12);
    assert_eq!(found["mean_dice"], 0.875);
    assert_eq!(found["labels"]["2"]["cases"], 2);

    let text = evaluate(&truth, &out, &["--tolerance-mm", "2"]).stdout;
    assert!(
        text.contains("b     2      0.7500  1.0000        2.00"),
        "{text}"
    );
    assert!(text.ends_with("mean   2      0.8750\n"), "{text}");
}

#[test]
fn what_cannot_be_compared_is_reported_and_the_rest_goes_on() {
    let folder = tempdir().unwrap();
    let (data, out) = (folder.path().join("data"), folder.path().join("out"));
    for case in ["a", "b", "c"] {
        write(&data.join(format!("labels/{case}.nii.gz")), 2, [1.0; 3]);
    }
    write(&out.join("a_seg.nii"), 2, [1.0; 3]);
    write(&out.join("b_seg.nii.gz"), 2, [1.5; 3]);
    let list = folder.path().join("datalist.json");
    let item = |case| serde_json::json!({"image": format!("images/{case}.nii.gz"), "label": format!("labels/{case}.nii.gz")});
    let text = serde_json::json!({"training": [item("x")], "testing": ["d.nii.gz", item("a"), item("b"), item("c")]});
    fs::write(&list, text.to_string()).unwrap();
    let ran = evaluate(
        &list,
        &out,
        &["--json", "--dataroot", data.to_str().unwrap()],
    );
    assert_eq!(ran.code, Some(7));
    let found: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(found["missing"], serde_json::json!(["c"]));
    assert_eq!(found["failed"][0]["case"], "b");
    assert_eq!(found["cases"].as_array().unwrap().len(), 1);
    assert!(
        ran.stderr.contains("case `c` has no prediction")
            && ran
                .stderr
                .contains("case `b` is left out: prediction and truth lie up to"),
        "{}",
        ran.stderr
    );
}

#[test]
fn without_any_prediction_there_is_no_mean() {
    let folder = tempdir().unwrap();
    write(&folder.path().join("truth/a.nii.gz"), 2, [1.0; 3]);
    let ran = evaluate(&folder.path().join("truth"), folder.path(), &["--json"]);
    assert_eq!(ran.code, Some(7));
    let found: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(found["mean_dice"], Value::Null);
}

#[test]
fn inputs_of_no_use_are_refused() {
    let folder = tempdir().unwrap();
    let (empty, absent) = (folder.path(), folder.path().join("absent"));
    for (truth, prediction, expected) in [
        (empty, empty, "has no NIfTI/NRRD/MetaImage files"),
        (
            empty,
            absent.as_path(),
            "is not a folder, expected one with predictions",
        ),
        (absent.as_path(), empty, "cannot read"),
    ] {
        let ran = evaluate(truth, prediction, &[]);
        assert_eq!(ran.code, Some(3), "{}", ran.stderr);
        assert!(ran.stderr.contains(expected), "{}", ran.stderr);
    }
    assert_eq!(
        evaluate(empty, empty, &["--tolerance-mm", "-1"]).code,
        Some(2)
    );
}
