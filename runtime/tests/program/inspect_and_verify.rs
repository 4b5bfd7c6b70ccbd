//! `inspect` and `verify`.

use crate::support::{
    self, Ran, bundle, bundle_with, bundle_with_rules, run, scan, with_runtime, without_path,
    write_scan,
};
use serde_json::Value;
use tempfile::tempdir;
use vesal_bundle::Bundle;

#[test]
fn images_are_described_for_people_and_programs() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.nii.gz");
    write_scan(&path, &scan([9, 7, 5]));
    let ran = run(["inspect".as_ref(), path.as_os_str()]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    insta::assert_snapshot!("inspect_volume", without_path(&ran.stdout, folder.path()));
    let ran = run([
        "inspect".as_ref(),
        path.as_os_str(),
        path.as_os_str(),
        "--json".as_ref(),
    ]);
    let found: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(
        (&found["format"], &found["format_version"]),
        (&"vesal-inspect".into(), &1.into())
    );
    assert_eq!(found["items"].as_array().unwrap().len(), 2);
    let item = &found["items"][0];
    assert_eq!(
        (&item["kind"], &item["orientation"], &item["data_type"]),
        (&"volume".into(), &"LPS".into(), &"float32".into())
    );
    assert_eq!(item["shape"], Value::from(vec![9, 7, 5]));
    assert_eq!(item["affine"][0][3], 90.5);
    assert_eq!(item["affine_from"], "sform");
    assert!((item["intensity"]["min"].as_f64().unwrap() + 1.9).abs() < 0.2);
}

#[test]
fn bundles_are_described_for_people_and_programs() {
    let folder = tempdir().unwrap();
    let path = bundle(folder.path());
    let opened = Bundle::open(&path).unwrap();
    let ran = run(["inspect".as_ref(), path.as_os_str()]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let text = without_path(&ran.stdout, folder.path()).replace(opened.digest(), "[digest]");
    insta::assert_snapshot!("inspect_bundle", text);
    let ran = run(["inspect".as_ref(), path.as_os_str(), "--json".as_ref()]);
    let found: Value = serde_json::from_str(&ran.stdout).unwrap();
    let item = &found["items"][0];
    assert_eq!(
        (&item["kind"], &item["name"]),
        (&"bundle".into(), &"ramps-1".into())
    );
    assert_eq!(item["digest"], opened.digest());
    assert_eq!(item["members"].as_array().unwrap().len(), 2);
    assert_eq!(item["window"]["size"], Value::from(vec![8, 6, 4]));
}

#[test]
fn rules_of_dicom_are_shown() {
    let folder = tempdir().unwrap();
    let path = bundle_with_rules(folder.path());
    let ran = run(["inspect".as_ref(), path.as_os_str()]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let lines: Vec<_> = ran.stdout.lines().skip(5).take(6).collect();
    insta::assert_snapshot!("inspect_bundle_with_rules", lines.join("\n"));
    let ran = run(["inspect".as_ref(), path.as_os_str(), "--json".as_ref()]);
    let found: Value = serde_json::from_str(&ran.stdout).unwrap();
    let item = &found["items"][0];
    assert_eq!(item["channels"][0].get("series_descriptions"), None);
    assert_eq!(item["channels"][1]["series_descriptions"][1], "*flair*");
    assert_eq!(item["labels"][1].get("code"), None);
    assert_eq!(item["labels"][2]["code"]["type"]["value"], "272673000");
    assert_eq!(item["labels"][2]["code"]["color"][1], 214);
}

#[test]
fn a_bundle_that_computes_rightly_passes() {
    let folder = tempdir().unwrap();
    let path = bundle(folder.path());
    let verify = |flags: &[&str]| {
        Ran::from(
            with_runtime()
                .arg("verify")
                .arg(&path)
                .args(flags)
                .output()
                .unwrap(),
        )
    };
    let ran = verify(&[]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(
        ran.stdout
            .contains("members/1.onnx: largest logit difference"),
        "{}",
        ran.stdout
    );
    assert!(
        ran.stdout.ends_with("`ramps-1` passes on cpu\n"),
        "{}",
        ran.stdout
    );
    let found: Value = serde_json::from_str(&verify(&["--json"]).stdout).unwrap();
    assert_eq!(
        (&found["format"], &found["passed"]),
        (&"vesal-verify".into(), &true.into())
    );
    assert_eq!(found["members"].as_array().unwrap().len(), 2);
    assert_eq!(found["identical_labels"], 1.0);
}

#[test]
fn a_bundle_that_computes_something_else_ends_with_5() {
    let folder = tempdir().unwrap();
    let path = bundle_with(folder.path(), |probe| {
        probe.groups[0].members[1].logits[3].value += 1.0
    });
    let ran = Ran::from(with_runtime().arg("verify").arg(&path).output().unwrap());
    assert_eq!(ran.code, Some(5));
    assert!(
        ran.stdout.ends_with("`ramps-1` does not pass on cpu\n"),
        "{}",
        ran.stdout
    );
    assert!(
        ran.stderr.starts_with("error: `ramps-1` does not pass\n"),
        "{}",
        ran.stderr
    );
}

#[test]
fn the_processor_is_always_a_device() {
    let ran = Ran::from(with_runtime().args(["devices", "--json"]).output().unwrap());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let found: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(
        found["onnxruntime"]["version"],
        support::runtime().version()
    );
    assert_eq!(
        (
            &found["devices"][0]["device"],
            &found["devices"][0]["usable"]
        ),
        (&"cpu".into(), &true.into())
    );
}
