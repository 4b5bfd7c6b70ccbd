//! A work directory of finished runs, made without training.

#![allow(dead_code)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use burn_store::{ModuleSnapshot, SafetensorsStore};
use tempfile::TempDir;
use vesal_bundle::case_scores::{self, CaseScore, CaseScores, LabelScore, MeanScore};
use vesal_bundle::deploy_plan::{Activation, Channel, DeployPlan, Label, Modality};
use vesal_bundle::run_record::{self, FileRef, RunRecord};
use vesal_exporter::assemble::Destination;
use vesal_files::document;
use vesal_network::NetworkConfig;
use vesal_volume::preprocess::{Normalization, Step};
use vesal_volume::window::{Blend, Padding, WindowPlan};

use crate::support::{config, network, runtime};

/// Dice of a run where a test does not say another.
pub const DICE: f64 = 0.75;
pub const WINDOW: [usize; 3] = [8, 12, 8];

pub fn network_config() -> NetworkConfig {
    config(&[1, 2, 1], [1, 3], None)
}

pub fn plan() -> DeployPlan {
    let label = |class_index: usize| {
        Label::new(
            format!("class {class_index}"),
            class_index as u16,
            class_index,
        )
    };
    DeployPlan {
        restore: Default::default(),
        name: "phantom".into(),
        channels: vec![Channel::new("image", Modality::Mri)],
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
pub fn work_dir(folds: &[usize]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    // Formatted unlike this program's output, to show that the bytes are copied.
    let compact = document::to_compact_json(&plan(), "deploy_plan.json").unwrap();
    fs::write(root.join("deploy_plan.json"), compact).unwrap();
    fs::write(root.join("data_stats.json"), b"{}").unwrap();
    for &fold in folds {
        write_run(root, fold);
    }
    fs::create_dir(root.join("segresnet_9")).unwrap();
    directory
}

/// A finished run of a fold whose one held-out case is its own.
pub fn write_run(root: &Path, fold: usize) {
    write_named_run(root, &format!("segresnet_{fold}"), fold, DICE);
}

/// A finished run with this Dice, of the algorithm that its name begins with.
pub fn write_named_run(root: &Path, name: &str, fold: usize, dice: f64) {
    write_run_on(root, name, fold, dice, &format!("case_{fold}"));
}

/// The same with this held-out case.
pub fn write_run_on(root: &Path, name: &str, fold: usize, dice: f64, case: &str) {
    let run = root.join(name);
    fs::create_dir_all(&run).unwrap();
    let mut store = SafetensorsStore::from_file(run.join("best.safetensors")).overwrite(true);
    // Runs of one fold differ in their weights, too.
    let seed = fold as u32 + 100 * ((dice - DICE) * 1000.).abs() as u32;
    network(&network_config(), seed)
        .save_into(&mut store)
        .unwrap();
    let label = |dice| LabelScore {
        dice,
        truth_ml: 1.,
        prediction_ml: 1.,
    };
    let scores = CaseScores {
        fold,
        epoch: 10 + fold,
        epochs_trained: 20,
        cases: vec![CaseScore {
            case: case.to_owned(),
            labels: [("class 1", Some(dice)), ("class 2", None)]
                .map(|(name, dice)| (name.to_owned(), label(dice)))
                .into(),
        }],
    };
    scores.write(&run.join(case_scores::FILE_NAME)).unwrap();
    let record = RunRecord {
        algorithm: name.split('_').next().unwrap().into(),
        fold,
        network: network_config(),
        weights: FileRef::to_file(&run, "best.safetensors").unwrap(),
        deploy_plan: FileRef::to_file(&run, "../deploy_plan.json").unwrap(),
        data_stats: FileRef::to_file(&run, "../data_stats.json").unwrap(),
        score: MeanScore::over(&scores.cases).at_epoch(10 + fold),
        scores: Some(FileRef::to_file(&run, case_scores::FILE_NAME).unwrap()),
        versions: BTreeMap::from([("vesal-train".to_owned(), "0.1.0".to_owned())]),
    };
    record.write(&run.join(run_record::FILE_NAME)).unwrap();
}

pub fn destination(output: PathBuf) -> Destination {
    Destination {
        output,
        version: None,
        overwrite: false,
        library: Some(runtime().path().into()),
    }
}
