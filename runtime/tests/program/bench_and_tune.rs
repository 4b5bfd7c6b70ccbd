//! Measuring, tuning, and stored profiles.

use std::path::Path;

use crate::support::{self, Ran, bundle, bundle_with, listing, scan, with_runtime, write_scan};
use serde_json::Value;
use tempfile::tempdir;
use vesal_bundle::Bundle;
use vesal_files::digest;

/// Runs the program with a separate user cache.
fn with_cache(cache: &Path, arguments: &[&str]) -> Ran {
    let mut command = with_runtime();
    for name in ["XDG_CACHE_HOME", "HOME", "LOCALAPPDATA"] {
        command.env(name, cache);
    }
    command.args(arguments).output().expect("runs").into()
}

fn json(ran: &Ran) -> Value {
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    serde_json::from_str(&ran.stdout).expect("JSON")
}

#[test]
fn a_bench_says_what_was_measured_where_with_what() {
    let folder = tempdir().unwrap();
    let path = bundle(folder.path());
    let bundle = path.to_str().unwrap();
    let scans = folder.path().join("scans");
    for (name, shape) in [("a", [19, 14, 11]), ("b", [9, 7, 5])] {
        write_scan(&scans.join(format!("{name}.nii.gz")), &scan(shape));
    }
    let (scans, report) = (scans.to_str().unwrap(), folder.path().join("bench.json"));
    let flags = [
        "--rounds",
        "3",
        "--json",
        "--report",
        report.to_str().unwrap(),
    ];
    let ran = with_cache(
        folder.path(),
        &[&["bench", bundle, scans], &flags[..]].concat(),
    );
    let found = json(&ran);
    assert_eq!(found["format"], "vesal-bench");
    assert_eq!(std::fs::read_to_string(report).unwrap(), ran.stdout);
    assert_eq!(
        found["bundle"]["digest"],
        Bundle::open(&path).unwrap().digest()
    );
    assert_eq!(
        found["versions"]["onnxruntime"],
        support::runtime().version()
    );
    assert_eq!(
        (
            &found["device"]["used"],
            &found["device"]["precision"],
            &found["device"]["profile"]
        ),
        (&"cpu".into(), &"f32".into(), &Value::Null)
    );
    let (_, sha256) = digest::sha256_file(Path::new(scans).join("b.nii.gz").as_path()).unwrap();
    assert_eq!(found["cases"][1]["input"][0]["file"], "b.nii.gz");
    assert_eq!(found["cases"][1]["input"][0]["sha256"], sha256.as_str());
    assert_eq!(found["cold"]["case"], "a");
    let seconds = |of: &Value| of.as_f64().expect("a number");
    assert!(
        seconds(&found["cold"]["ready_seconds"])
            <= seconds(&found["cold"]["first_label_map_seconds"])
    );
    assert_eq!(found["warm"]["samples"], 6);
    assert_eq!(found["cases"][0]["stages"]["samples"], 3);
    assert_eq!(found["batch"]["cases"], 6);
    let total = &found["warm"]["total"];
    assert!(seconds(&total["p50"]) > 0.0 && seconds(&total["p50"]) <= seconds(&total["p99"]));
    assert!((0.0..=1.0).contains(&seconds(&found["warm"]["outside_network"])));
    // `bench` writes the same as `predict`.
    let out = folder.path().join("out");
    let first = Path::new(scans).join("a.nii.gz");
    let predicted = support::predict(&path, &[&first], &out, &["--json"]);
    assert_eq!(
        found["cases"][0]["label_map_sha256"],
        json(&predicted)["cases"][0]["outputs"][0]["sha256"]
    );
    assert_eq!(listing(Path::new(scans)), ["a.nii.gz", "b.nii.gz"]);

    let text = with_cache(folder.path(), &["bench", bundle, scans, "--rounds", "1"]);
    assert_eq!(text.code, Some(0), "{}", text.stderr);
    for word in [
        "restore",
        "p99",
        "cold start",
        "windows per second",
        "peak memory",
    ] {
        assert!(text.stdout.contains(word), "{word}: {}", text.stdout);
    }
}

#[test]
fn a_bench_ends_with_the_first_case_that_fails() {
    let folder = tempdir().unwrap();
    let path = bundle(folder.path());
    let input = folder.path().join("a.nii");
    std::fs::write(&input, b"no scan").unwrap();
    let arguments = ["bench", path.to_str().unwrap(), input.to_str().unwrap()];
    let ran = with_cache(folder.path(), &arguments);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(3), ""));
    assert!(
        ran.stderr
            .starts_with("error: cannot run `ramps-1` on case `a`\n"),
        "{}",
        ran.stderr
    );
}

#[test]
fn what_was_tuned_is_used_until_it_is_forgotten() {
    let folder = tempdir().unwrap();
    let path = bundle(folder.path());
    let bundle = path.to_str().unwrap();
    let run = |arguments: &[&str]| with_cache(folder.path(), arguments);
    let profile_of = |flags: &[&str]| {
        json(&run(&[&["verify", bundle, "--json"], flags].concat()))["profile"].clone()
    };
    assert_eq!(profile_of(&[]), Value::Null);

    let tuned = json(&run(&["tune", bundle, "--json"]));
    assert_eq!(tuned["format"], "vesal-tune");
    let best = tuned["best"].as_u64().unwrap() as usize;
    let settings = &tuned["tried"][best]["settings"];
    assert_eq!(settings["device"], "cpu");
    assert_eq!(tuned["tried"][best]["attempt"]["measured"]["passed"], true);
    assert!(tuned["tried"].as_array().unwrap().len() > 2);
    let kept = &tuned["profile"]["settings"];
    assert_eq!(kept["threads"], settings["threads"]);
    assert_eq!(
        kept["batch"],
        tuned["tried"][best]["attempt"]["measured"]["batch"]
    );

    let file = &tuned["profile_file"];
    assert_eq!(profile_of(&[]), *file);
    assert_eq!(profile_of(&["--no-profile"]), Value::Null);
    // The profile does not apply to another provider or device.
    assert_eq!(profile_of(&["--device", "auto"]), Value::Null);
    let input = folder.path().join("a.nii.gz");
    write_scan(&input, &scan([9, 7, 5]));
    let (input, out) = (input.to_str().unwrap(), folder.path().join("out"));
    let predict = [
        "predict", "--bundle", bundle, "--input", input, "--json", "--output",
    ];
    let predict = [&predict[..], &[out.to_str().unwrap(), "--batch", "3"]].concat();
    let device = json(&run(&predict))["device"].clone();
    assert_eq!((&device["profile"], &device["batch"]), (file, &3.into()));

    let text = std::fs::read_to_string(file.as_str().unwrap()).unwrap();
    let other = text.replace(support::runtime().version(), "1.0.0");
    std::fs::write(file.as_str().unwrap(), other).unwrap();
    assert_eq!(profile_of(&[]), Value::Null, "another ONNX Runtime");

    let forgotten = json(&run(&["tune", bundle, "--forget", "--json"]));
    assert_eq!(forgotten["removed"][0], *file);
    assert_eq!(
        run(&["tune", bundle, "--forget"]).stdout,
        "there is no profile of `ramps-1`\n"
    );
}

#[test]
fn settings_that_fail_the_probe_are_not_kept() {
    let folder = tempdir().unwrap();
    let path = bundle_with(folder.path(), |probe| {
        probe.groups[0].members[1].logits[3].value += 1.0
    });
    let ran = with_cache(folder.path(), &["tune", path.to_str().unwrap()]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(5), ""));
    assert!(
        ran.stderr
            .contains("none of 2 settings passes the bundle's test on this machine"),
        "{}",
        ran.stderr
    );
    let arguments = ["tune", path.to_str().unwrap(), "--device", "cuda:99"];
    let ran = with_cache(folder.path(), &arguments);
    assert_eq!(ran.code, Some(5), "{}", ran.stderr);
    assert!(ran.stderr.contains("device `cuda:99`"), "{}", ran.stderr);
    assert!(listing(&folder.path().join("vesal/profiles")).is_empty());
}

#[test]
fn a_scan_can_be_what_is_tuned_for() {
    let folder = tempdir().unwrap();
    let path = bundle(folder.path());
    let scans = folder.path().join("scans");
    for name in ["a", "b"] {
        write_scan(&scans.join(format!("{name}.nii.gz")), &scan([9, 7, 5]));
    }
    let tune = |input: &Path| {
        let arguments = [
            "tune",
            path.to_str().unwrap(),
            "--input",
            input.to_str().unwrap(),
        ];
        with_cache(folder.path(), &arguments)
    };
    let ran = tune(&scans.join("a.nii.gz"));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(
        ran.stdout.contains("are kept for `ramps-1` in "),
        "{}",
        ran.stdout
    );
    let ran = tune(&scans);
    assert_eq!(ran.code, Some(3));
    assert!(
        ran.stderr.contains("`--input` names 2 cases, expected 1"),
        "{}",
        ran.stderr
    );
}
