//! Plans name the weights that a training starts from by their content.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use safetensors::Dtype;
use safetensors::tensor::TensorView;
use tempfile::TempDir;
use vesal_network::{NetworkConfig, PatchMerging, SegResNetDsConfig, SwinUnetrConfig};
use vesal_trainer::train_plan::TrainPlan;
use vesal_trainer::work_dir::{Fault, Made, PlanOutcome, Request, WorkDir, WorkError};

use crate::dataset_on_disk::Dataset;

fn prepared(folder: &Path, task: Option<&Path>, settings: &[String]) -> Result<WorkDir, WorkError> {
    let request = Request {
        input: task,
        folds: task.map(|_| 2),
        settings,
        host_memory_gib: Some(8.0),
        ..Request::default()
    };
    WorkDir::prepare(&folder.join("work"), &request)
}

fn planned(work: &mut WorkDir) -> (Made, TrainPlan) {
    let mut plannings = work.plan(false).unwrap();
    match plannings.remove(0).outcome {
        PlanOutcome::Planned { made, plans } => {
            let explained = plans.reasons.iter();
            let explained = explained.filter(|decision| decision.name == "init_weights");
            assert_eq!(
                explained.count(),
                usize::from(plans.train.init_weights.is_some())
            );
            (made, plans.train)
        }
        PlanOutcome::Skipped { reason } => panic!("{reason}"),
    }
}

/// A file of weights for a network, each value of which is this.
fn weights(file: &Path, network: &NetworkConfig, value: f32) {
    let shapes: BTreeMap<_, _> = network.tensors().into_iter().collect();
    let values: Vec<(Vec<usize>, Vec<u8>)> = shapes
        .values()
        .map(|shape| {
            let count = shape.iter().product();
            (shape.clone(), value.to_le_bytes().repeat(count))
        })
        .collect();
    let views = shapes.keys().zip(&values).map(|(name, (shape, bytes))| {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap();
        (name, view)
    });
    fs::write(file, safetensors::serialize(views, None).unwrap()).unwrap();
}

/// A small network, and a setting that starts it from this file.
fn settings(file: &Path) -> [String; 3] {
    [
        "network#init_filters=8".into(),
        "network#blocks_down=[1, 1]".into(),
        format!("init_weights={}", file.display()),
    ]
}

#[test]
fn plans_follow_the_content_of_the_file() {
    let dataset = Dataset::new(4);
    let (task, folder) = (dataset.write_task(""), TempDir::new().unwrap());
    let file = folder.path().join("start.safetensors");
    let settings = settings(&file);
    let mut work = prepared(folder.path(), Some(&task), &settings[..2]).unwrap();
    work.analyze(false, |_| {}).unwrap();
    let (_, plan) = planned(&mut work);
    weights(&file, &plan.network, 0.0);
    let mut work = prepared(folder.path(), None, &settings).unwrap();
    let (made, plan) = planned(&mut work);
    assert_eq!(made, Made::Now);
    let first = plan.init_weights.unwrap();
    assert_eq!(first.path, file);
    assert_eq!(planned(&mut work).0, Made::Before);

    weights(&file, &plan.network, 1.0);
    let (made, plan) = planned(&mut work);
    assert_eq!(made, Made::Now);
    assert_ne!(plan.init_weights.unwrap().sha256, first.sha256);

    fs::remove_file(&file).unwrap();
    let error = prepared(folder.path(), None, &settings).unwrap_err();
    assert!(error.to_string().contains("start.safetensors"), "{error}");
    assert_eq!(error.fault(), Fault::Plan);
    assert!(error.hint().unwrap().contains("init_weights="));
    let none = ["init_weights=".to_owned()];
    let mut work = prepared(folder.path(), None, &none).unwrap();
    assert_eq!(planned(&mut work).1.init_weights, None);

    let relative = ["init_weights=start.pt".to_owned()];
    let error = prepared(folder.path(), None, &relative).unwrap_err();
    assert!(
        error.to_string().contains("expected an absolute path"),
        "{error}"
    );
}

#[test]
fn weights_of_another_network_are_no_start_of_a_plan() {
    let dataset = Dataset::new(4);
    let (task, folder) = (dataset.write_task(""), TempDir::new().unwrap());
    let file = folder.path().join("start.safetensors");
    let settings = settings(&file);
    let mut work = prepared(folder.path(), Some(&task), &settings[..2]).unwrap();
    work.analyze(false, |_| {}).unwrap();
    let network = planned(&mut work).1.network;
    let refused = || {
        let error = prepared(folder.path(), None, &settings).unwrap_err();
        let (message, hint) = (error.to_string(), error.hint());
        assert!(message.contains("start.safetensors"), "{message}");
        let source = std::error::Error::source(&error).unwrap().to_string();
        (source, hint.unwrap_or_default().to_owned())
    };
    let NetworkConfig::SegresnetDs(config) = network else {
        panic!("another network")
    };
    let narrow = SegResNetDsConfig {
        init_filters: 4,
        ..config.clone()
    };
    weights(&file, &narrow.into(), 0.0);
    let (source, hint) = refused();
    assert!(source.contains("has shape"), "{source}");
    assert!(hint.contains("init_filters"), "{hint}");
    let swin = SwinUnetrConfig {
        in_channels: config.in_channels,
        out_channels: config.out_channels,
        feature_size: 12,
        patch_merging: PatchMerging::Monai15,
    };
    weights(&file, &swin.into(), 0.0);
    let (source, hint) = refused();
    assert!(source.contains("of the SegResNetDS to train"), "{source}");
    assert!(hint.contains("--algorithms"), "{hint}");
    fs::write(&file, b"no weights").unwrap();
    let (source, hint) = refused();
    assert!(source.contains("not a safetensors file"), "{source}");
    assert!(hint.contains("PyTorch 1.6"), "{hint}");
    // Another number of classes is what the last layer is trained for.
    let classes = SegResNetDsConfig {
        out_channels: config.out_channels + 3,
        ..config
    };
    weights(&file, &classes.into(), 0.0);
    prepared(folder.path(), None, &settings).unwrap();
}
