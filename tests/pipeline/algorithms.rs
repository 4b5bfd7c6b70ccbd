//! Two algorithms, from one work directory into one bundle.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use vesal_io::image::read_label_map;
use vesal_tests::dataset::PhantomDataset;
use vesal_tests::programs::{programs, run};

use crate::chain::{SETTINGS, evaluate_held_out, predict};

const ALGORITHMS: [&str; 2] = ["segresnet", "segresnet2d"];

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn two_algorithms_become_one_bundle_that_keeps_to_the_memory_it_plans() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().canonicalize().unwrap();
    let dataset = PhantomDataset::write(&path.join("data"), 4, 1).unwrap();
    let (work, bundle) = (path.join("work"), path.join("both.bundle"));
    let mut auto = Command::new(&programs().train);
    auto.args(["auto", "--folds", "2", "--algorithms"])
        .arg(ALGORITHMS.join(","))
        .arg("--input")
        .arg(&dataset.task)
        .arg("--work-dir")
        .arg(&work);
    for setting in SETTINGS.iter().chain(&["allow_skip=false"]) {
        auto.args(["--set", setting]);
    }
    run(&mut auto);
    run(Command::new(&programs().export)
        .args(["bundle", "--ensemble", "all", "--work-dir"])
        .arg(&work)
        .arg("--output")
        .arg(&bundle));
    let manifest = json(&bundle.join("manifest.json"));
    let members = manifest["members"].as_array().unwrap();
    assert_eq!(members.len(), 4);
    for algorithm in ALGORITHMS {
        let plan = json(&work.join(algorithm).join("deploy_plan.json"));
        let planned = members
            .iter()
            .filter(|member| json(&bundle.join(member["deploy_plan"].as_str().unwrap())) == plan);
        assert_eq!(planned.count(), 2, "{algorithm}");
    }
    run(Command::new(&programs().vesal).arg("verify").arg(&bundle));
    let evaluation = evaluate_held_out(&dataset, &work, &bundle, ALGORITHMS.len());
    assert!(evaluation["mean_dice"].as_f64().is_some());

    let scores = run(Command::new(&programs().train)
        .args(["scores", "--json", "--work-dir"])
        .arg(&work));
    let scores: Value = serde_json::from_str(&scores).unwrap();
    assert_eq!(scores["same_cases"], true);
    let [difference] = &scores["differences"].as_array().unwrap()[..] else {
        panic!("{scores}")
    };
    assert_eq!(difference["algorithm"], ALGORITHMS[1]);
    assert_eq!(difference["against"], ALGORITHMS[0]);
    assert_eq!(difference["cases"], dataset.training.len());
    assert!(scores["algorithms"][1]["hours"].as_f64().unwrap() > 0.0);

    let scan = &dataset.held_out[0];
    let out = path.join("out");
    let images = [scan.image.clone()];
    let record = run(predict(&bundle, &images, &out).arg("--json"));
    let record: Value = serde_json::from_str(&record).unwrap();
    let [planned, peak] = [
        &record["memory"]["planned_bytes"],
        &record["peak_memory_bytes"],
    ]
    .map(|bytes| bytes.as_u64().unwrap());
    assert!(peak <= planned, "{peak} bytes were held, {planned} planned");
    let labels = read_label_map(out.join(format!("{}_seg.nii.gz", scan.name))).unwrap();
    assert!(
        labels
            .data
            .iter()
            .all(|value| usize::from(*value) <= dataset.labels.len())
    );
}
