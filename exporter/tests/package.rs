//! A work directory of finished folds becomes a bundle that verifies.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use burn_store::{ModuleSnapshot, SafetensorsStore};
use support::{config, network, runtime};
use tempfile::TempDir;
use vesal_bundle::deploy_plan::{self, Activation, Channel, DeployPlan, Label, Modality};
use vesal_bundle::manifest::MemberProvenance;
use vesal_bundle::run_record::{self, FileRef, RunRecord, RunRecordError, Score};
use vesal_bundle::{Bundle, WriteError, digest};
use vesal_engine::{Device, EngineOptions, verify};
use vesal_exporter::assemble::{AssembleError, Destination};
use vesal_exporter::lower;
use vesal_exporter::package::{PackageError, package};
use vesal_models::NetworkConfig;
use vesal_volume::preprocess::{Normalization, Step};
use vesal_volume::window::{Blend, Padding, WindowPlan};

const WINDOW: [usize; 3] = [8, 12, 8];

fn network_config() -> NetworkConfig {
    config(&[1, 2, 1], [1, 3], None)
}

fn plan() -> DeployPlan {
    let label = |class_index: usize| Label {
        name: format!("class {class_index}"),
        value: class_index as u16,
        class_index,
        index: None,
    };
    DeployPlan {
        format: deploy_plan::FORMAT.into(),
        format_version: deploy_plan::FORMAT_VERSION,
        name: "phantom".into(),
        channels: vec![Channel {
            name: "image".into(),
            modality: Modality::Mri,
        }],
        labels: (0..3).map(label).collect(),
        activation: Activation::Softmax,
        preprocessing: vec![
            Step::OrientRas,
            Step::Normalize {
                channels: vec![Normalization::ZScoreNonzero],
            },
        ],
        window: WindowPlan {
            size: WINDOW,
            overlap: [0.625; 3],
            blend: Blend::Gaussian { sigma_scale: 0.125 },
            padding: Padding::Constant(0.),
        },
    }
}

/// A work directory with these folds finished.
fn work_dir(folds: &[usize]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    // Not as this program would write it: the bytes have to be copied, not written anew.
    let compact = serde_json::to_vec(&plan()).unwrap();
    fs::write(root.join("deploy_plan.json"), compact).unwrap();
    fs::write(root.join("data_stats.json"), b"{}").unwrap();
    for &fold in folds {
        write_run(root, fold);
    }
    fs::create_dir(root.join("segresnet_9")).unwrap();
    directory
}

fn write_run(root: &Path, fold: usize) {
    let run = root.join(format!("segresnet_{fold}"));
    fs::create_dir_all(&run).unwrap();
    let mut store = SafetensorsStore::from_file(run.join("best.safetensors")).overwrite(true);
    network(&network_config(), fold as u32)
        .save_into(&mut store)
        .unwrap();
    let dice_by_label = BTreeMap::from([
        ("class 1".to_owned(), Some(0.75)),
        ("class 2".to_owned(), None),
    ]);
    let record = RunRecord {
        format: run_record::FORMAT.into(),
        format_version: run_record::FORMAT_VERSION,
        algorithm: "segresnet".into(),
        fold,
        network: network_config(),
        weights: FileRef::to_file(&run, "best.safetensors").unwrap(),
        deploy_plan: FileRef::to_file(&run, "../deploy_plan.json").unwrap(),
        data_stats: FileRef::to_file(&run, "../data_stats.json").unwrap(),
        score: Score {
            epoch: 10 + fold,
            mean_dice: 0.75,
            dice_by_label,
            cases: 4,
        },
        versions: BTreeMap::from([("vesal-train".to_owned(), "0.1.0".to_owned())]),
    };
    record.write(&run.join(run_record::FILE_NAME)).unwrap();
}

fn destination(output: PathBuf) -> Destination {
    Destination {
        output,
        overwrite: false,
        library: Some(runtime().path().into()),
    }
}

fn refused(work_dir: &TempDir, folds: Option<&[usize]>) -> PackageError {
    let output = work_dir.path().join("bundle");
    let error = package(
        work_dir.path(),
        folds,
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
        None,
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
        fs::read(output.join(&manifest.deploy_plan)).unwrap(),
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
        assert_eq!(bundle.member_bytes(index).unwrap(), expected.unwrap());
    }
    let options = EngineOptions {
        device: Device::Cpu,
        ..Default::default()
    };
    let report = verify(&bundle, &options).unwrap();
    assert!(report.passed(), "{report:?}");

    // The same export again gives the same bundle, and replaces nothing unasked.
    let mut again = destination(output.clone());
    let error = package(work.path(), None, Some("brains"), &again, &mut |_| {}).unwrap_err();
    assert!(
        matches!(
            error,
            PackageError::Assemble(AssembleError::Write(WriteError::Exists { .. }))
        ),
        "{error}"
    );
    again.overwrite = true;
    let assembled = package(work.path(), None, Some("brains"), &again, &mut |_| {}).unwrap();
    assert_eq!(assembled.bundle.digest(), bundle.digest());
}

#[test]
fn chosen_folds_are_exported_alone() {
    let work = work_dir(&[0, 1, 2]);
    let output = work.path().join("bundle");
    let assembled = package(
        work.path(),
        Some(&[2, 0, 2]),
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
        matches!(refused(&work_dir(&[0]), Some(&[0, 4])), PackageError::NoFold { fold: 4, finished } if finished == [0])
    );
    assert!(matches!(
        refused(&work_dir(&[]), None),
        PackageError::NoRuns { .. }
    ));
}

#[test]
fn files_that_changed_after_training_are_refused() {
    for file in [
        "segresnet_0/best.safetensors",
        "deploy_plan.json",
        "data_stats.json",
    ] {
        let work = work_dir(&[0]);
        let path = work.path().join(file);
        let mut bytes = fs::read(&path).unwrap();
        bytes.push(b' ');
        fs::write(&path, bytes).unwrap();
        let error = refused(&work, None);
        assert!(
            matches!(&error, PackageError::Record { source: RunRecordError::Digest { file: found, .. }, .. } if found.ends_with(file.rsplit('/').next().unwrap())),
            "{error}"
        );
    }
}

#[test]
fn runs_under_different_plans_do_not_vote_together() {
    let work = work_dir(&[0]);
    let mut other = plan();
    other.name = "another".into();
    fs::write(
        work.path().join("deploy_plan.json"),
        other.to_json().unwrap(),
    )
    .unwrap();
    write_run(work.path(), 1);
    let error = refused(&work, None);
    assert!(
        matches!(
            error,
            PackageError::Disagree {
                what: "deploy plans",
                ..
            }
        ),
        "{error}"
    );
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
