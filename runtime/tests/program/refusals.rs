//! Refusals: messages and exit codes.

use std::fs;
use std::path::Path;

use crate::support::{
    Ran, bundle, listing, predict, run, scan, two_channel_bundle, vesal, with_runtime,
    without_path, write_scan,
};
use tempfile::tempdir;
use vesal_volume::{Affine, Volume};

#[test]
fn a_bundle_that_is_none_ends_with_4() {
    let folder = tempdir().unwrap();
    let out = folder.path().join("out");
    let ran = predict(
        &folder.path().join("none"),
        &[Path::new("a.nii.gz")],
        &out,
        &[],
    );
    assert_eq!(ran.code, Some(4));
    insta::assert_snapshot!("no_bundle", without_path(&ran.stderr, folder.path()));
    assert!(!out.exists());
}

#[test]
fn a_damaged_bundle_ends_with_4() {
    let folder = tempdir().unwrap();
    let bundle = bundle(folder.path());
    let member = bundle.join("members/1.onnx");
    let mut bytes = fs::read(&member).unwrap();
    bytes[10] ^= 1;
    fs::write(&member, bytes).unwrap();
    for command in ["verify", "inspect"] {
        let ran: Ran = with_runtime()
            .arg(command)
            .arg(&bundle)
            .output()
            .unwrap()
            .into();
        assert_eq!(ran.code, Some(4), "{command}");
        assert!(
            ran.stderr
                .contains("`members/1.onnx` of the bundle has SHA-256"),
            "{}",
            ran.stderr
        );
        assert_eq!(ran.stdout, "");
    }
}

#[test]
fn an_unusable_input_ends_with_3_and_needs_no_runtime() {
    let folder = tempdir().unwrap();
    let bundle = bundle(folder.path());
    let at = |name: &str| folder.path().join(name);
    fs::write(at("text.nii.gz"), "not an image").unwrap();
    let mut dicom = vec![0; 600];
    dicom[128..132].copy_from_slice(b"DICM");
    fs::write(at("slice.dcm"), dicom).unwrap();
    let frames = Volume {
        data: ndarray::Array4::zeros((2, 4, 4, 4)),
        affine: Affine::IDENTITY,
    };
    write_scan(&at("frames.nii.gz"), &frames);
    fs::create_dir(at("empty")).unwrap();
    let mut messages = String::new();
    for name in [
        "absent.nii.gz",
        "text.nii.gz",
        "slice.dcm",
        "frames.nii.gz",
        "empty",
    ] {
        let mut command = vesal();
        command
            .arg("predict")
            .arg("--bundle")
            .arg(&bundle)
            .arg("--input")
            .arg(at(name));
        command
            .arg("--output")
            .arg(at("out"))
            .arg("--ort-lib")
            .arg(at("no-library"));
        let ran = Ran::from(command.output().unwrap());
        assert_eq!(ran.code, Some(3), "{name}: {}", ran.stderr);
        messages += &format!("--- {name}\n{}", without_path(&ran.stderr, folder.path()));
    }
    insta::assert_snapshot!("unusable_inputs", messages);
    assert_eq!(listing(&at("out")), [""; 0]);
}

#[test]
fn two_results_of_one_name_are_seen_before_any_work() {
    let folder = tempdir().unwrap();
    let bundle = bundle(folder.path());
    let [a, b] = ["monday/case.nii.gz", "tuesday/case.nii"].map(|name| folder.path().join(name));
    write_scan(&a, &scan([9, 7, 5]));
    write_scan(&b, &scan([9, 7, 5]));
    let out = folder.path().join("out");
    let ran = predict(&bundle, &[&a, &b], &out, &["--overwrite"]);
    assert_eq!(ran.code, Some(6));
    insta::assert_snapshot!("collision", without_path(&ran.stderr, folder.path()));
    assert!(!out.exists());
}

#[test]
fn results_that_are_there_are_replaced_on_request_only() {
    let folder = tempdir().unwrap();
    let bundle = bundle(folder.path());
    let [a, b] = ["a.nii.gz", "b.nii.gz"].map(|name| folder.path().join("in").join(name));
    write_scan(&a, &scan([9, 7, 5]));
    write_scan(&b, &scan([9, 7, 5]));
    let out = folder.path().join("out");
    fs::create_dir(&out).unwrap();
    fs::write(out.join("b_seg.nii.gz"), "precious").unwrap();
    let ran = predict(&bundle, &[&a, &b], &out, &[]);
    assert_eq!(ran.code, Some(6));
    insta::assert_snapshot!("exists", without_path(&ran.stderr, folder.path()));
    assert_eq!(listing(&out), ["b_seg.nii.gz"]);
    assert_eq!(fs::read(out.join("b_seg.nii.gz")).unwrap(), b"precious");
    let ran = predict(&bundle, &[&a, &b], &out, &["--overwrite"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(listing(&out), ["a_seg.nii.gz", "b_seg.nii.gz"]);
    assert_ne!(fs::read(out.join("b_seg.nii.gz")).unwrap(), b"precious");
}

#[test]
fn a_report_without_a_folder_is_refused_before_any_work() {
    let folder = tempdir().unwrap();
    let bundle = bundle(folder.path());
    let [input, report] = ["a.nii.gz", "absent/run.json"].map(|name| folder.path().join(name));
    write_scan(&input, &scan([9, 7, 5]));
    let out = folder.path().join("out");
    let ran = predict(
        &bundle,
        &[&input],
        &out,
        &["--report", report.to_str().unwrap()],
    );
    assert_eq!(ran.code, Some(6), "{}", ran.stderr);
    assert_eq!(listing(&out), [""; 0]);
}

#[test]
fn an_input_is_never_written_over() {
    let folder = tempdir().unwrap();
    let bundle = bundle(folder.path());
    let input = folder.path().join("a.nii.gz");
    write_scan(&input, &scan([9, 7, 5]));
    let before = fs::read(&input).unwrap();
    let ran = predict(
        &bundle,
        &[&input],
        folder.path(),
        &["--overwrite", "--suffix", ""],
    );
    assert_eq!(ran.code, Some(6));
    assert!(
        ran.stderr.contains("would be written over the input"),
        "{}",
        ran.stderr
    );
    assert_eq!(fs::read(&input).unwrap(), before);
}

#[test]
fn channels_on_different_grids_are_named_with_both_grids() {
    let folder = tempdir().unwrap();
    let bundle = two_channel_bundle(folder.path());
    let case = folder.path().join("case_012");
    let volume = |spacing| Volume {
        affine: Affine::from_spacing(spacing),
        ..scan([9, 7, 5])
    };
    write_scan(&case.join("case_012_t1.nii.gz"), &volume([1.0, 1.0, 1.0]));
    write_scan(&case.join("case_012_t2.nii.gz"), &volume([1.0, 1.0, 5.0]));
    let ran = predict(&bundle, &[&case], &folder.path().join("out"), &[]);
    assert_eq!(ran.code, Some(3));
    insta::assert_snapshot!("one_grid", without_path(&ran.stderr, folder.path()));
    fs::remove_file(case.join("case_012_t2.nii.gz")).unwrap();
    let ran = predict(&bundle, &[&case], &folder.path().join("out"), &[]);
    assert_eq!(ran.code, Some(3));
    insta::assert_snapshot!("absent_channel", without_path(&ran.stderr, folder.path()));
    let ran = predict(
        &bundle,
        &[&case.join("case_012_t1.nii.gz")],
        &folder.path().join("out"),
        &[],
    );
    assert_eq!(ran.code, Some(3));
    insta::assert_snapshot!(
        "one_file_for_two_channels",
        without_path(&ran.stderr, folder.path())
    );
}

#[test]
fn an_absent_runtime_ends_with_5_and_names_setup() {
    let folder = tempdir().unwrap();
    let mut command = vesal();
    command
        .env_clear()
        .env("HOME", folder.path())
        .arg("devices");
    let ran = Ran::from(command.output().unwrap());
    assert_eq!(ran.code, Some(5), "{}", ran.stdout);
    assert!(
        ran.stderr
            .ends_with("\nhint: `vesal setup` fetches ONNX Runtime\n"),
        "{}",
        ran.stderr
    );
    let ran = run(["devices", "--ort-lib", "no-such-library"]);
    assert_eq!(ran.code, Some(5));
    assert!(ran.stderr.contains("`no-such-library`"), "{}", ran.stderr);
}

#[test]
fn a_device_that_was_asked_for_is_not_replaced_by_another() {
    let folder = tempdir().unwrap();
    let bundle = bundle(folder.path());
    let input = folder.path().join("a.nii.gz");
    write_scan(&input, &scan([9, 7, 5]));
    let out = folder.path().join("out");
    let ran = predict(&bundle, &[&input], &out, &["--device", "cuda:15"]);
    assert_eq!(ran.code, Some(5), "{}", ran.stderr);
    assert!(ran.stderr.contains("device `cuda:15`"), "{}", ran.stderr);
    assert_eq!(listing(&out), [""; 0]);
}

#[test]
fn a_case_that_takes_more_memory_than_allowed_is_refused_before_any_work() {
    let folder = tempdir().unwrap();
    let bundle = bundle(folder.path());
    let path = folder.path().join("a.nii.gz");
    write_scan(&path, &scan([13, 9, 7]));
    let out = folder.path().join("out");
    let ran = predict(&bundle, &[&path], &out, &["--max-ram", "1M"]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    for part in [
        "of memory, expected at most 1 MiB (`--max-ram`)",
        "hint: it fits with `--max-ram ",
    ] {
        assert!(ran.stderr.contains(part), "{}", ran.stderr);
    }
    assert!(listing(&out).is_empty());

    // The message suffices without a hint.
    let needed = ran.stderr.split("--max-ram ").nth(1).unwrap();
    let needed = needed.split('`').next().unwrap();
    let ran = predict(&bundle, &[&path], &out, &["--max-ram", needed]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
}

#[test]
fn the_record_tells_what_was_planned() {
    let folder = tempdir().unwrap();
    let bundle = bundle(folder.path());
    let scans = ["a.nii.gz", "b.nii.gz", "c.nii.gz"].map(|name| folder.path().join(name));
    for path in &scans {
        write_scan(path, &scan([13, 9, 7]));
    }
    let inputs: Vec<&Path> = scans.iter().map(|path| path.as_path()).collect();
    let out = folder.path().join("out");
    let ran = predict(&bundle, &inputs, &out, &["--json", "--max-ram", "4G"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let record: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let memory = &record["memory"];
    assert_eq!(memory["overlapped"], true);
    assert_eq!(memory["limit_bytes"], 4_u64 << 30);
    let [planned, peak] = [&memory["planned_bytes"], &record["peak_memory_bytes"]]
        .map(|bytes| bytes.as_u64().unwrap());
    assert!(peak <= planned, "{peak} bytes were held, {planned} planned");
}
