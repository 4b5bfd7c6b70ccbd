//! Segmenting: labels, geometry, records, batches, interruption.

use std::fs;

use crate::support::{
    self, Ran, bundle, direct_labels, direct_probabilities, in_region, listing, overflowing_bundle,
    predict, region_bundle, scan, two_channel_bundle, two_image_bundle, with_runtime, write_scan,
};
use ndarray::{Array4, Axis, concatenate};
use serde_json::Value;
use tempfile::tempdir;
use vesal_files::digest;
use vesal_io::{image, nifti};
use vesal_volume::Affine;

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

#[test]
fn the_label_map_is_the_direct_computation_on_the_grid_of_the_scan() {
    let folder = tempdir().unwrap();
    let bundle = bundle(folder.path());
    let input = folder.path().join("case_1.nii.gz");
    let volume = scan([19, 14, 11]);
    write_scan(&input, &volume);
    let out = folder.path().join("new/out");
    let ran = predict(&bundle, &[&input], &out, &["--probabilities"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(listing(&out), ["case_1_prob.nii.gz", "case_1_seg.nii.gz"]);

    let labels = image::read_label_map(out.join("case_1_seg.nii.gz")).unwrap();
    assert_eq!(labels.data, direct_labels(&volume));
    let (from, to) = (
        nifti::read_header(&input).unwrap(),
        nifti::read_header(out.join("case_1_seg.nii.gz")).unwrap(),
    );
    assert_eq!(
        (to.affine, to.space, to.dimensions),
        (from.affine, from.space, from.dimensions)
    );

    let probabilities = image::read_channels(out.join("case_1_prob.nii.gz")).unwrap();
    assert_eq!(probabilities.affine, from.affine);
    let expected = direct_probabilities(&volume);
    assert_eq!(probabilities.data.dim(), expected.dim());
    for (found, expected) in probabilities.data.iter().zip(&expected) {
        let difference = (f64::from(*found) - expected).abs();
        assert!(difference < 1e-5, "{found} instead of {expected}");
    }

    assert!(ran.stdout.starts_with(&format!(
        "case_1: {}\n  soft tissue  ",
        out.join("case_1_seg.nii.gz").display()
    )));
    assert_eq!(
        ran.stderr, "",
        "nothing but trouble is said there when no terminal is there"
    );
}

#[test]
fn regions_that_overlap_are_masks_of_their_own() {
    let folder = tempdir().unwrap();
    let bundle = region_bundle(folder.path());
    let input = folder.path().join("case_1.nii.gz");
    let volume = scan([9, 7, 6]);
    write_scan(&input, &volume);
    let out = folder.path().join("out");
    let ran = predict(&bundle, &[&input], &out, &["--json"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let masks = image::read_channels(out.join("case_1_seg.nii.gz")).unwrap();
    let grid = nifti::read_header(&input).unwrap();
    assert_eq!((masks.channels(), masks.affine), (3, grid.affine));
    let image = volume.data.index_axis(Axis(0), 0);
    let mut inside = [0; 3];
    for (region, mask) in masks.data.outer_iter().enumerate() {
        for (found, intensity) in mask.iter().zip(image) {
            let expected = in_region(region, *intensity);
            assert_eq!(*found, f32::from(u8::from(expected)));
            inside[region] += usize::from(expected);
        }
    }
    assert!(
        inside.iter().sum::<usize>() > image.len(),
        "some overlap: {inside:?}"
    );
    let labels = &json(&ran.stdout)["cases"][0]["labels"];
    let told = [0, 1, 2].map(|region| labels[region]["voxels"].as_u64().unwrap() as usize);
    assert_eq!(told, inside);
}

#[test]
fn images_on_other_grids_come_onto_the_first() {
    let folder = tempdir().unwrap();
    let (first, mut second) = (scan([9, 7, 6]), scan([9, 7, 6]));
    second.data.mapv_inplace(|value| 1.0 - value * value);
    let same_grid = folder.path().join("same");
    fs::create_dir(&same_grid).unwrap();
    write_scan(&same_grid.join("a_t1.nii.gz"), &first);
    write_scan(&same_grid.join("a_t2.nii.gz"), &second);
    // The same voxels in the opposite order.
    let [x, y, z] = second.geometry().shape;
    let last = second
        .affine
        .voxel_to_world([x, y, z].map(|side| side as f64 - 1.0));
    let linear = second.affine.linear().map(|row| row.map(|entry| -entry));
    second.affine = Affine::from_parts(linear, last);
    second.data.invert_axis(Axis(1));
    second.data.invert_axis(Axis(2));
    second.data.invert_axis(Axis(3));
    let turned = folder.path().join("turned");
    fs::create_dir(&turned).unwrap();
    write_scan(&turned.join("a_t1.nii.gz"), &first);
    write_scan(&turned.join("a_t2.nii.gz"), &second);
    let (channels, images) = (
        two_channel_bundle(folder.path()),
        two_image_bundle(folder.path()),
    );
    let segment = |bundle, input: &std::path::Path, out: &str| {
        let out = folder.path().join(out);
        let ran = predict(bundle, &[input], &out, &[]);
        (
            ran.code,
            image::read_label_map(out.join("a_seg.nii.gz")).ok(),
        )
    };
    let (code, expected) = segment(&channels, &same_grid, "expected");
    assert_eq!(code, Some(0));
    assert_eq!(segment(&images, &turned, "found"), (Some(0), expected));
    assert_eq!(segment(&channels, &turned, "refused"), (Some(3), None));
}

#[test]
fn channels_that_show_another_region_are_refused_or_told() {
    let folder = tempdir().unwrap();
    let bundle = two_image_bundle(folder.path());
    let first = scan([9, 7, 6]);
    let width = first.affine.spacing()[0] * 9.0;
    let ran = |moved: f64| {
        let input = folder.path().join(format!("{moved}"));
        fs::create_dir(&input).unwrap();
        write_scan(&input.join("a_t1.nii.gz"), &first);
        let mut second = scan([9, 7, 6]);
        let [x, y, z] = second.affine.origin();
        second.affine = Affine::from_parts(second.affine.linear(), [x + moved, y, z]);
        write_scan(&input.join("a_t2.nii.gz"), &second);
        predict(
            &bundle,
            &[&input],
            &folder.path().join("out"),
            &["--overwrite"],
        )
    };
    let apart = ran(5.0 * width);
    assert_eq!(apart.code, Some(3), "{}", apart.stderr);
    let says = "channel `t2` shows another region of space than channel `t1`";
    assert!(apart.stderr.contains(says), "{}", apart.stderr);
    let beside = ran(0.75 * width);
    assert_eq!(beside.code, Some(0), "{}", beside.stderr);
    let says = "% of the region that channel `t1` shows";
    assert!(beside.stderr.contains(says), "{}", beside.stderr);
    assert!(!ran(0.25 * width).stderr.contains(says));
}

#[test]
fn a_list_of_a_datalist_is_predicted() {
    let folder = tempdir().unwrap();
    let bundle = bundle(folder.path());
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    for case in ["a", "b"] {
        write_scan(&data.join(format!("{case}.nii.gz")), &scan([9, 7, 6]));
    }
    let list = folder.path().join("datalist.json");
    let text = r#"{"training": [{"image": "b.nii.gz", "fold": 0}],
        "testing": ["a.nii.gz", {"image": ["a.nii.gz", "b.nii.gz"]}]}"#;
    fs::write(&list, text).unwrap();
    let data = data.to_str().unwrap();
    let out = folder.path().join("out");
    let ran = predict(
        &bundle,
        &[&list],
        &out,
        &["--dataroot", data, "--list", "training"],
    );
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(listing(&out), ["b_seg.nii.gz"]);
    let out = folder.path().join("other");
    let ran = predict(&bundle, &[&list], &out, &["--dataroot", data]);
    assert_eq!(ran.code, Some(7), "{}", ran.stderr);
    assert!(
        ran.stderr
            .contains("gives 2 images under `image`, the bundle expects 1"),
        "{}",
        ran.stderr
    );
    let ran = predict(&bundle, &[&list], &out, &["--list", "validation"]);
    assert_eq!(ran.code, Some(3));
    assert!(
        ran.stderr.contains("has no case under `validation`"),
        "{}",
        ran.stderr
    );
}

#[test]
fn the_record_names_files_times_labels_and_digests() {
    let folder = tempdir().unwrap();
    let bundle = bundle(folder.path());
    let input = folder.path().join("case_1.nii");
    let volume = scan([9, 7, 5]);
    write_scan(&input, &volume);
    let (out, report) = (folder.path().join("out"), folder.path().join("report.json"));
    let flags = [
        "--json",
        "--threads",
        "1",
        "--suffix",
        "-labels",
        "--report",
        report.to_str().unwrap(),
    ];
    let ran = predict(&bundle, &[&input], &out, &flags);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(ran.stdout, fs::read_to_string(&report).unwrap());

    let record = json(&ran.stdout);
    assert_eq!(
        (&record["format"], &record["format_version"]),
        (&"vesal-predict".into(), &1.into())
    );
    assert_eq!(record["versions"]["vesal"], env!("CARGO_PKG_VERSION"));
    assert_eq!(
        record["versions"]["onnxruntime"],
        support::runtime().version()
    );
    let manifest = fs::read(bundle.join("manifest.json")).unwrap();
    assert_eq!(record["bundle"]["digest"], digest::sha256(&manifest));
    assert_eq!(
        (&record["bundle"]["name"], &record["bundle"]["members"]),
        (&"ramps-1".into(), &2.into())
    );
    let device = &record["device"];
    assert_eq!(
        (&device["requested"], &device["used"], &device["threads"]),
        (&"cpu".into(), &"cpu".into(), &1.into())
    );
    assert!(record["total_seconds"].as_f64() >= record["load_seconds"].as_f64());
    assert!(
        !cfg!(target_os = "linux")
            || record["peak_memory_bytes"]
                .as_u64()
                .is_some_and(|bytes| bytes > 1 << 20)
    );

    let [case] = record["cases"].as_array().unwrap().as_slice() else {
        panic!("one case")
    };
    assert_eq!(
        (&case["case"], &case["status"]),
        (&"case_1".into(), &"segmented".into())
    );
    assert_eq!(case["input"], Value::from(vec!["case_1.nii"]));
    assert_eq!(case["outputs"].as_array().unwrap().len(), 1);
    assert_eq!(case["warnings"], Value::Array(vec![]));
    let path = out.join("case_1-labels.nii.gz");
    let written = fs::read(&path).unwrap();
    assert_eq!(case["outputs"][0]["path"], path.to_str().unwrap());
    assert_eq!(case["outputs"][0]["bytes"], written.len());
    assert_eq!(case["outputs"][0]["sha256"], digest::sha256(&written));
    for stage in ["read", "prepare", "network", "restore", "write", "total"] {
        assert!(case["seconds"][stage].is_f64(), "{stage}");
    }
    let labels = case["labels"].as_array().unwrap();
    let voxels = direct_labels(&volume)
        .iter()
        .filter(|&&label| label == 5)
        .count();
    assert_eq!(
        (&labels[0]["name"], &labels[0]["value"]),
        (&"soft tissue".into(), &5.into())
    );
    assert_eq!(labels[0]["voxels"], voxels);
    let ml = voxels as f64 * 1.5 * 1.25 * 2.5 / 1000.0;
    assert!((labels[0]["ml"].as_f64().unwrap() - ml).abs() < 1e-6);
}

#[test]
fn a_batch_goes_on_past_bad_cases_and_ends_with_7() {
    let folder = tempdir().unwrap();
    let bundle = bundle(folder.path());
    let input = folder.path().join("in");
    for name in ["a.nii.gz", "b.nii.gz", "d.nii"] {
        write_scan(&input.join(name), &scan([9, 7, 5]));
    }
    let whole = fs::read(input.join("b.nii.gz")).unwrap();
    fs::write(input.join("b.nii.gz"), &whole[..whole.len() * 2 / 3]).unwrap();
    let mut not_finite = scan([9, 7, 5]);
    not_finite.data[[0, 1, 2, 3]] = f32::NAN;
    write_scan(&input.join("c.nii.gz"), &not_finite);
    fs::write(input.join("e.nii.gz"), "").unwrap();
    fs::write(input.join("notes.txt"), "no image").unwrap();
    let out = folder.path().join("out");
    let absent = folder.path().join("absent.nii.gz");
    let ran = predict(&bundle, &[&input, &absent], &out, &["--json"]);
    assert_eq!(ran.code, Some(7), "{}", ran.stderr);
    assert_eq!(
        listing(&out),
        ["a_seg.nii.gz", "d_seg.nii.gz"],
        "and nothing half written"
    );
    let record = json(&ran.stdout);
    let statuses: Vec<_> = record["cases"]
        .as_array()
        .unwrap()
        .iter()
        .map(|case| {
            (
                case["case"].as_str().unwrap(),
                case["status"].as_str().unwrap(),
                case["exit_code"].as_u64(),
            )
        })
        .collect();
    assert_eq!(
        statuses,
        [
            ("a", "segmented", None),
            ("b", "failed", Some(3)),
            ("c", "failed", Some(3)),
            ("d", "segmented", None),
            ("e", "failed", Some(3)),
            ("absent", "failed", Some(3)),
        ]
    );
    assert_eq!(
        ran.stderr
            .matches("error: cannot run `ramps-1` on case `b`\n")
            .count(),
        1
    );
    assert!(
        ran.stderr
            .ends_with("error: 4 of 6 cases failed: b, c, e, absent\n"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_single_case_fails_with_its_own_code() {
    let folder = tempdir().unwrap();
    let input = folder.path().join("a.nii.gz");
    let mut volume = scan([9, 7, 5]);
    volume.data.mapv_inplace(|value| 1000.0 * value);
    write_scan(&input, &volume);
    let out = folder.path().join("out");
    let ran = predict(
        &overflowing_bundle(folder.path()),
        &[&input],
        &out,
        &["--json"],
    );
    assert_eq!(ran.code, Some(5), "{}", ran.stderr);
    assert_eq!(ran.stderr.matches("error:").count(), 1, "{}", ran.stderr);
    assert_eq!(json(&ran.stdout)["cases"][0]["exit_code"], 5);
    assert_eq!(listing(&out), [""; 0]);
}

#[test]
fn cases_of_several_channels_are_folders() {
    let folder = tempdir().unwrap();
    let bundle = two_channel_bundle(folder.path());
    let case = folder.path().join("case_7");
    let first = scan([9, 7, 5]);
    let mut second = first.clone();
    second.data.mapv_inplace(|value| 1.0 - value * value);
    write_scan(&case.join("case_7_t1.nii.gz"), &first);
    write_scan(&case.join("case_7_t2.nii.gz"), &second);
    let out = folder.path().join("out");
    let ran = predict(&bundle, &[&case], &out, &[]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let labels = image::read_label_map(out.join("case_7_seg.nii.gz")).unwrap();
    // Weights and biases of the network by class.
    let weights = [
        ([0.5, 0.25], 0.25),
        ([-1.0, 0.5], 0.0),
        ([2.0, -0.25], -0.5_f32),
    ];
    let both: Array4<f32> = concatenate(Axis(0), &[first.data.view(), second.data.view()]).unwrap();
    for ((x, y, z), &label) in labels.data.indexed_iter() {
        let logit = |class: usize| {
            let ([a, b], bias) = weights[class];
            a * both[[0, x, y, z]] + b * both[[1, x, y, z]] + bias
        };
        let best = (1..3).fold(0, |best, class| {
            if logit(class) > logit(best) {
                class
            } else {
                best
            }
        });
        assert_eq!(label, support::LABELS[best]);
    }
}

#[cfg(unix)]
#[test]
fn an_interruption_leaves_nothing_half_written_and_ends_with_130() {
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    let folder = tempdir().unwrap();
    let bundle = bundle(folder.path());
    let input = folder.path().join("in");
    // Tens of thousands of windows: far more than are done before the signal.
    write_scan(&input.join("a.nii"), &scan([150, 150, 150]));
    write_scan(&input.join("b.nii"), &scan([150, 150, 150]));
    let out = folder.path().join("out");
    let mut command = with_runtime();
    command
        .arg("predict")
        .arg("--bundle")
        .arg(&bundle)
        .arg("--input")
        .arg(&input)
        .arg("--output")
        .arg(&out);
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The folder is created after the signal handler was installed and before computing begins.
    let patience = Instant::now() + Duration::from_secs(60);
    while !out.exists() && Instant::now() < patience {
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_millis(300));
    assert!(
        Command::new("kill")
            .args(["-INT", &child.id().to_string()])
            .status()
            .unwrap()
            .success()
    );
    let ran = Ran::from(child.wait_with_output().unwrap());
    assert_eq!(ran.code, Some(130), "{}", ran.stderr);
    assert_eq!(
        ran.stderr,
        "error: stopped by the user after 0 of 2 cases; their files are complete\n"
    );
    assert_eq!(listing(&out), [""; 0]);
}
