//! Writing bundles and run records, and reading them back.

use crate::example;
use std::collections::BTreeMap;
use std::fs;

use vesal_bundle::run_record::{self, FileRef, RunRecord, RunRecordError};
use vesal_bundle::{Bundle, BundleError, BundleWriteError, BundleWriter};
use vesal_files::digest;
use vesal_network::{NetworkConfig, SegResNetDsConfig};

#[test]
fn a_written_bundle_opens_with_what_was_put_in() {
    let (_parent, path) = example::written();
    let bundle = Bundle::open(&path).expect("opens");
    assert_eq!(bundle.plan(), &example::plan());
    assert_eq!(bundle.probe(), &example::probe(2));
    assert_eq!(bundle.manifest().members, example::manifest().members);
    assert_eq!(
        *bundle.member_bytes(1).expect("member"),
        example::network(1)
    );
    assert!(matches!(
        bundle.member_bytes(2),
        Err(BundleError::NoSuchMember { found: 2, last: 1 })
    ));
    let manifest_bytes = fs::read(path.join("manifest.json")).expect("manifest");
    assert_eq!(bundle.digest(), digest::sha256(&manifest_bytes));
    let plan_bytes = fs::read(path.join("deploy_plan.json")).expect("plan");
    assert_eq!(
        plan_bytes,
        example::plan().to_json().expect("valid"),
        "copied byte for byte"
    );
}

#[test]
fn a_moved_bundle_is_the_same_bundle() {
    let (parent, path) = example::written();
    let digest = Bundle::open(&path).expect("opens").digest().to_owned();
    let moved = parent.path().join("elsewhere");
    fs::rename(&path, &moved).expect("renamed");
    assert_eq!(Bundle::open(&moved).expect("opens").digest(), digest);
}

#[test]
fn an_existing_bundle_is_replaced_only_on_request() {
    let (parent, path) = example::written();
    assert!(matches!(
        example::write(&path, false),
        Err(BundleWriteError::Exists { .. })
    ));
    example::write(&path, true).expect("replaced");
    assert_eq!(
        example::listing(parent.path()),
        ["two-tissues-1"],
        "nothing is left beside it"
    );
}

#[test]
fn a_directory_that_is_no_bundle_is_never_replaced() {
    let (parent, _) = example::written();
    let precious = parent.path().join("precious");
    fs::create_dir(&precious).expect("created");
    fs::write(precious.join("data"), "data").expect("written");
    assert!(matches!(
        example::write(&precious, true),
        Err(BundleWriteError::NotABundle { .. })
    ));
    assert_eq!(example::listing(&precious), ["data"]);
}

#[test]
fn an_abandoned_or_unusable_bundle_leaves_nothing() {
    let (parent, path) = example::written();
    let before = fs::read(path.join("manifest.json")).expect("manifest");
    let mut writer = BundleWriter::create(&path, true).expect("created");
    writer.add("half.onnx", b"half").expect("added");
    drop(writer);
    let mut writer = BundleWriter::create(&path, true).expect("created");
    writer.add("deploy_plan.json", b"{}").expect("added");
    assert!(matches!(
        writer.finish(example::manifest()),
        Err(BundleWriteError::Manifest(_))
    ));
    let mut writer = BundleWriter::create(&path, true).expect("created");
    for file in [
        "deploy_plan.json",
        "probe.json",
        "members/fold-0.onnx",
        "members/model.onnx",
    ] {
        writer.add(file, b"{}").expect("added");
    }
    assert!(matches!(
        writer.finish(example::manifest()),
        Err(BundleWriteError::Unusable(BundleError::Plan(_)))
    ));
    assert_eq!(example::listing(parent.path()), ["two-tissues-1"]);
    assert_eq!(
        fs::read(path.join("manifest.json")).expect("manifest"),
        before
    );
}

#[test]
fn a_file_cannot_be_added_twice_or_outside() {
    let (parent, _) = example::written();
    let mut writer = BundleWriter::create(&parent.path().join("new"), false).expect("created");
    writer.add("a.onnx", b"1").expect("added");
    assert!(matches!(
        writer.add("a.onnx", b"2"),
        Err(BundleWriteError::Twice { .. })
    ));
    assert!(matches!(
        writer.add("../a.onnx", b"2"),
        Err(BundleWriteError::Path(_))
    ));
}

fn run_record(directory: &std::path::Path) -> RunRecord {
    fs::create_dir_all(directory.join("run")).expect("created");
    fs::write(directory.join("run/best.safetensors"), "weights").expect("written");
    fs::write(directory.join("deploy_plan.json"), "plan").expect("written");
    fs::write(directory.join("data_stats.json"), "stats").expect("written");
    let run = directory.join("run");
    RunRecord {
        algorithm: "segresnet".into(),
        fold: 0,
        network: NetworkConfig::SegresnetDs(SegResNetDsConfig {
            in_channels: 1,
            out_channels: 2,
            init_filters: 8,
            blocks_down: vec![1, 2],
            dsdepth: 1,
            resolution: None,
        }),
        weights: FileRef::to_file(&run, "best.safetensors").expect("readable"),
        deploy_plan: FileRef::to_file(&run, "../deploy_plan.json").expect("readable"),
        data_stats: FileRef::to_file(&run, "../data_stats.json").expect("readable"),
        score: example::score(),
        scores: None,
        versions: BTreeMap::new(),
    }
}

#[test]
fn a_run_record_survives_writing_and_its_files_are_checked() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let record = run_record(directory.path());
    let path = directory.path().join("run").join(run_record::FILE_NAME);
    record.write(&path).expect("written");
    let read = RunRecord::read(&path).expect("read");
    assert_eq!(read, record);
    let run = directory.path().join("run");
    assert_eq!(read.weights.read(&run).expect("same file"), b"weights");
    fs::write(directory.path().join("deploy_plan.json"), "another plan").expect("written");
    assert!(matches!(
        read.deploy_plan.read(&run),
        Err(RunRecordError::Digest { .. })
    ));
}

#[test]
fn a_run_record_that_cannot_be_is_rejected() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let path = directory.path().join("run.json");
    let good = run_record(directory.path());
    let mut record = good.clone();
    record.score.mean_dice = f64::NAN;
    assert!(matches!(
        record.write(&path),
        Err(RunRecordError::Score { .. })
    ));
    let mut record = good.clone();
    record.weights.path = "/etc/passwd".into();
    assert!(matches!(
        record.write(&path),
        Err(RunRecordError::Path { .. })
    ));
    let mut record = good;
    record.weights.sha256 = "AB".repeat(32);
    assert!(matches!(
        record.write(&path),
        Err(RunRecordError::DigestForm { .. })
    ));
    assert!(!path.exists());
}
