//! Trainings that start from weights of a file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use vesal_files::digest;
use vesal_network::NetworkConfig;
use vesal_trainer::fit::{self, FitError, FitOutcome, InitialWeightsError};
use vesal_trainer::train_plan::InitialWeights;

use crate::work_dir::WorkDir;

fn values(file: &Path) -> BTreeMap<String, Vec<f32>> {
    let tensors = vesal_weights::read(file).unwrap();
    let tensors = tensors
        .into_iter()
        .map(|(name, data)| (name, data.to_vec::<f32>().unwrap()));
    tensors.collect()
}

fn named(path: PathBuf) -> InitialWeights {
    let (_, sha256) = digest::sha256_file(&path).unwrap();
    InitialWeights { path, sha256 }
}

/// A finished run, and a work directory whose trainings start from its weights and keep them.
fn started() -> (WorkDir, PathBuf) {
    let mut work = WorkDir::new(4, 12, 8);
    work.plan.num_epochs = 1;
    work.write_plan();
    fit::run(&work.request("first"), &mut ()).unwrap();
    let file = work.path("first").join("weights.safetensors");
    work.plan.learning_rate = 0.0;
    work.plan.seed += 1;
    work.plan.init_weights = Some(named(file.clone()));
    work.write_plan();
    (work, file)
}

#[test]
fn all_but_the_last_layers_are_those_of_the_file() {
    let (work, file) = started();
    fit::run(&work.request("second"), &mut ()).unwrap();
    let found = values(&work.path("second").join("weights.safetensors"));
    let given = values(&file);
    assert!(found.keys().eq(given.keys()));
    for (name, values) in &found {
        let is_head = work.plan.network.is_head(name);
        // Biases of a fresh head may be anything; its weights are drawn with another seed.
        if is_head && name.ends_with("weight") {
            assert_ne!(values, &given[name], "{name}");
        } else if !is_head {
            assert_eq!(values, &given[name], "{name}");
        }
    }
    let heads = found.keys().filter(|name| work.plan.network.is_head(name));
    assert_eq!(heads.count(), 2, "a head with weights and a bias");
}

#[test]
fn the_content_of_the_file_is_a_part_of_the_run_and_its_place_is_not() {
    let (mut work, file) = started();
    let stopping = work.request("second");
    stopping
        .stop
        .store(true, std::sync::atomic::Ordering::Relaxed);
    let outcome = fit::run(&stopping, &mut ()).unwrap();
    assert!(matches!(outcome, FitOutcome::Stopped { .. }));

    // A training that goes on does not need the file.
    let moved = InitialWeights {
        path: work.path("moved.safetensors"),
        ..named(file.clone())
    };
    work.plan.init_weights = Some(moved);
    work.write_plan();
    fit::run(&work.request("second"), &mut ()).unwrap();

    let other = InitialWeights {
        path: file,
        sha256: "0".repeat(64),
    };
    work.plan.init_weights = Some(other);
    work.write_plan();
    let error = fit::run(&work.request("second"), &mut ()).unwrap_err();
    assert!(matches!(error, FitError::OtherRun { .. }), "{error}");
    let error = fit::run(&work.request("third"), &mut ()).unwrap_err();
    let source = match error {
        FitError::InitialWeights { source, .. } => source,
        other => panic!("{other}"),
    };
    assert!(matches!(source, InitialWeightsError::Changed), "{source}");
}

#[test]
fn weights_of_another_network_are_refused() {
    let (mut work, file) = started();
    let NetworkConfig::SegresnetDs(config) = work.plan.network.clone() else {
        panic!("another network")
    };
    let refused = |change: &dyn Fn(&mut vesal_network::SegResNetDsConfig)| {
        let mut config = config.clone();
        change(&mut config);
        let mut plan = work.plan.clone();
        plan.network = config.into();
        let path = work.path("other_plan.json");
        vesal_files::document::write(&path, &plan).unwrap();
        let mut request = work.request("other");
        request.train_plan_path = path;
        match fit::run(&request, &mut ()).unwrap_err() {
            FitError::InitialWeights { source, .. } => source,
            other => panic!("{other}"),
        }
    };
    let error = refused(&|config| config.init_filters = 6);
    assert!(
        matches!(&error, InitialWeightsError::Shape { found, expected, .. } if found != expected),
        "{error}"
    );
    let error = refused(&|config| config.blocks_down = vec![1, 2]);
    assert!(
        matches!(&error, InitialWeightsError::Missing { names, .. } if !names.is_empty()),
        "{error}"
    );
    let error = refused(&|config| config.blocks_down = vec![1]);
    assert!(
        matches!(error, InitialWeightsError::Unused { .. }),
        "{error}"
    );

    let path = work.path("no.safetensors");
    std::fs::write(&path, b"no weights").unwrap();
    work.plan.init_weights = Some(named(path));
    work.write_plan();
    let error = fit::run(&work.request("other"), &mut ()).unwrap_err();
    assert!(
        matches!(
            &error,
            FitError::InitialWeights {
                source: InitialWeightsError::File(_),
                ..
            }
        ),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("safetensors"));
    assert!(!work.path("other").join("weights.safetensors").exists());
    assert!(file.exists());
}
