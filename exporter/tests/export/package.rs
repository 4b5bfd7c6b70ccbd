//! Exporting a work directory of finished folds to a bundle that verifies.

use std::fs;
use std::path::Path;

use crate::support::{network, runtime};
use crate::work_dir::{
    DICE, WINDOW, destination, network_config, plan, work_dir, write_named_run, write_run,
};
use tempfile::TempDir;
use vesal_bundle::manifest::{MemberProvenance, SelectionRule};
use vesal_bundle::run_record::{self, FileRef, RunRecord, RunRecordError};
use vesal_bundle::work_dir::RunId;
use vesal_bundle::{Bundle, BundleWriteError};
use vesal_engine::{Device, EngineOptions, verify};
use vesal_exporter::assemble::{AssembleError, Assembled};
use vesal_exporter::lower;
use vesal_exporter::package::{PackageError, package};
use vesal_exporter::runs::RunsError;
use vesal_exporter::selection::{SelectionError, SelectionOptions};
use vesal_files::digest;

/// These folds, or the finished ones.
fn of_folds(folds: Option<&[usize]>) -> SelectionOptions {
    SelectionOptions {
        folds: folds.map(<[usize]>::to_vec),
        ..SelectionOptions::default()
    }
}

fn refused(work_dir: &TempDir, folds: Option<&[usize]>) -> PackageError {
    let output = work_dir.path().join("bundle");
    let error = package(
        work_dir.path(),
        &of_folds(folds),
        None,
        &destination(output.clone()),
        &mut |_| {},
    )
    .unwrap_err();
    assert!(!output.exists());
    error
}

#[test]
fn folds_become_a_bundle_that_verifies() {
    let work = work_dir(&[1, 0]);
    let output = work.path().join("out/phantom-bundle");
    let assembled = package(
        work.path(),
        &SelectionOptions::default(),
        Some("brains"),
        &destination(output.clone()),
        &mut |_| {},
    )
    .unwrap();
    assert_eq!(assembled.parities.len(), 2);
    assert!(
        assembled
            .parities
            .iter()
            .all(|parity| parity.window == WINDOW)
    );

    let bundle = Bundle::open(&output).unwrap();
    assert_eq!(bundle.digest(), assembled.bundle.digest());
    let manifest = bundle.manifest();
    assert_eq!(manifest.name, "brains");
    let stats = digest::sha256(b"{}");
    assert_eq!(
        manifest.provenance.data_stats_sha256.as_deref(),
        Some(stats.as_str())
    );
    assert_eq!(
        manifest.provenance.versions["onnxruntime"],
        runtime().version()
    );
    assert_eq!(
        fs::read(output.join(manifest.deploy_plans()[0])).unwrap(),
        fs::read(work.path().join("deploy_plan.json")).unwrap()
    );
    for (index, member) in manifest.members.iter().enumerate() {
        let MemberProvenance::Trained { fold, score, .. } = &member.provenance else {
            panic!()
        };
        assert_eq!((*fold, score.epoch), (index, 10 + index));
        let expected = lower::to_onnx(
            &network(&network_config(), index as u32),
            &network_config(),
            WINDOW,
        );
        assert_eq!(*bundle.member_bytes(index).unwrap(), expected.unwrap());
    }
    let ensemble = &manifest.ensemble;
    assert_eq!(ensemble.selection.rule, SelectionRule::BestByFold);
    let score = ensemble.out_of_fold.as_ref().unwrap();
    assert_eq!((score.mean_dice, score.cases), (0.75, 2));
    let options = EngineOptions {
        device: Device::Cpu,
        ..Default::default()
    };
    let report = verify(&bundle, &options).unwrap();
    assert!(report.passed(), "{report:?}");

    // The same export again gives the same bundle, and replaces nothing unasked.
    let mut again = destination(output.clone());
    let error = package(
        work.path(),
        &SelectionOptions::default(),
        Some("brains"),
        &again,
        &mut |_| {},
    )
    .unwrap_err();
    assert!(
        matches!(
            error,
            PackageError::Assemble(AssembleError::Write(BundleWriteError::Exists { .. }))
        ),
        "{error}"
    );
    again.overwrite = true;
    let assembled = package(
        work.path(),
        &SelectionOptions::default(),
        Some("brains"),
        &again,
        &mut |_| {},
    )
    .unwrap();
    assert_eq!(assembled.bundle.digest(), bundle.digest());
}

#[test]
fn chosen_folds_are_exported_alone() {
    let work = work_dir(&[0, 1, 2]);
    let output = work.path().join("bundle");
    let assembled = package(
        work.path(),
        &of_folds(Some(&[2, 0, 2])),
        None,
        &destination(output),
        &mut |_| {},
    )
    .unwrap();
    let manifest = assembled.bundle.manifest();
    assert_eq!(manifest.name, "phantom");
    let files: Vec<&str> = manifest
        .members
        .iter()
        .map(|member| member.file.as_str())
        .collect();
    assert_eq!(files, ["members/fold-0.onnx", "members/fold-2.onnx"]);
    assert!(
        matches!(refused(&work_dir(&[0]), Some(&[0, 4])), PackageError::Selection(SelectionError::MissingFolds { missing, finished }) if missing == [4] && finished == [0])
    );
    assert!(matches!(
        refused(&work_dir(&[]), None),
        PackageError::Runs(RunsError::None { .. })
    ));
}

#[test]
fn files_that_changed_after_training_are_refused() {
    for file in [
        "segresnet_0/best.safetensors",
        "segresnet_0/scores.json",
        "deploy_plan.json",
    ] {
        let work = work_dir(&[0]);
        let path = work.path().join(file);
        let mut bytes = fs::read(&path).unwrap();
        bytes.push(b' ');
        fs::write(&path, bytes).unwrap();
        let error = refused(&work, None);
        assert!(
            matches!(&error, PackageError::Runs(RunsError::Record { source: RunRecordError::Digest { file: found, .. }, .. }) if found.ends_with(file.rsplit('/').next().unwrap())),
            "{error}"
        );
    }
}

/// A finished run of another algorithm, with a deploy plan of its own.
fn write_run_under(root: &Path, fold: usize, plan: &[u8]) {
    let id = RunId::new("segresnet2d", fold);
    write_named_run(root, &id.to_string(), fold, DICE);
    fs::create_dir(root.join(&id.algorithm)).unwrap();
    fs::write(root.join("segresnet2d/deploy_plan.json"), plan).unwrap();
    let run = root.join(id.to_string());
    let path = run.join(run_record::FILE_NAME);
    let mut record = RunRecord::read(&path).unwrap();
    record.deploy_plan = FileRef::to_file(&run, "../segresnet2d/deploy_plan.json").unwrap();
    record.algorithm = id.algorithm;
    record.write(&path).unwrap();
}

#[test]
fn runs_whose_plans_contradict_each_other_are_refused() {
    let work = work_dir(&[0]);
    let mut other = plan();
    other.labels[1].name = "another".into();
    write_run_under(work.path(), 1, &other.to_json().unwrap());
    let error = refused(&work, None);
    assert!(
        matches!(error, PackageError::Disagree { what: "labels", .. }),
        "{error}"
    );
}

#[test]
fn runs_of_several_algorithms_become_one_bundle() {
    let work = work_dir(&[0]);
    let first = fs::read(work.path().join("deploy_plan.json")).unwrap();
    let mut other = plan();
    other.window.size[0] *= 2;
    other.window.overlap = [0.; 3];
    let other = other.to_json().unwrap();
    write_run_under(work.path(), 1, &other);
    let output = tempfile::tempdir().unwrap();
    let destination = destination(output.path().join("bundle"));
    let assembled = package(
        work.path(),
        &SelectionOptions::default(),
        None,
        &destination,
        &mut |_| {},
    );
    let Assembled { bundle, parities } = assembled.unwrap();
    let files = bundle.manifest().deploy_plans();
    assert_eq!(files, ["deploy_plan.json", "deploy_plan_2.json"]);
    let written = |file: &str| fs::read(bundle.directory().join(file)).unwrap();
    assert_eq!([written(files[0]), written(files[1])], [first, other]);
    let windows: Vec<_> = parities.iter().map(|parity| parity.window).collect();
    let [x, y, z] = WINDOW;
    assert_eq!(windows, [WINDOW, [2 * x, y, z]]);
    let options = EngineOptions {
        device: Device::Cpu,
        ..Default::default()
    };
    assert!(verify(&bundle, &options).unwrap().passed());
}

#[test]
fn networks_that_do_not_fit_the_plan_are_refused() {
    let work = work_dir(&[]);
    let mut other = plan();
    other.labels.pop();
    fs::write(
        work.path().join("deploy_plan.json"),
        other.to_json().unwrap(),
    )
    .unwrap();
    write_run(work.path(), 0);
    let error = refused(&work, None);
    assert!(
        matches!(
            error,
            PackageError::Assemble(AssembleError::Interface {
                what: "classes",
                found: 3,
                expected: 2,
                ..
            })
        ),
        "{error}"
    );
}
