//! Checkpoints that are a state dict alone: what flags have to state, and the plans that follow.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;
use vesal_bundle::Bundle;
use vesal_bundle::deploy_plan::{Activation, DeployPlan, Modality};
use vesal_engine::verify;
use vesal_exporter::import::{ImportError, ImportOverrides, import};
use vesal_network::PatchMerging;
use vesal_volume::preprocess::{Normalization, Restore, Step};

use crate::support::{engine_options, golden};
use crate::work_dir::destination;

const CHANNELS: usize = 2;

/// A golden checkpoint of two channels and two regions.
fn checkpoint(name: &str) -> Option<(TempDir, PathBuf)> {
    golden::find("algorithms")?;
    let place = TempDir::new().unwrap();
    let path = golden::unpacked(&format!("algorithms/{name}.pt.gz"), place.path());
    Some((place, path))
}

fn imported(
    path: &Path,
    flags: &ImportOverrides,
) -> Result<(DeployPlan, Vec<String>), ImportError> {
    let place = TempDir::new().unwrap();
    let destination = destination(place.path().join("bundle"));
    let imported = import(&[path.to_owned()], flags, &destination, &mut |_| {})?;
    let bundle = Bundle::open(&destination.output).unwrap();
    assert!(verify(&bundle, &engine_options()).unwrap().passed());
    Ok((bundle.plan().clone(), imported.assumptions))
}

fn refused(path: &Path, flags: &ImportOverrides, flag: &str) {
    let error = imported(path, flags).unwrap_err();
    let hint = error.hint().unwrap_or_default();
    assert!(hint.contains(flag), "{error}: {hint}");
}

/// Z-scores of every channel, without a crop, and every image resampled.
fn z_scores(spacing: [f64; 3]) -> [Step; 3] {
    [
        Step::Normalize {
            channels: vec![Normalization::ZScoreNonzero; CHANNELS],
        },
        Step::OrientRas,
        Step::Resample {
            spacing,
            keep: [1., 1.],
        },
    ]
}

#[test]
fn golden_networks_of_attention_ask_how_they_merge_patches() {
    let Some((_place, path)) = checkpoint("swinunetr/sigmoid") else {
        return;
    };
    let spacing = [1., 1., 2.];
    let mut flags = ImportOverrides {
        roi: Some([64, 32, 32]),
        modality: Some(Modality::Mri),
        activation: Some(Activation::Sigmoid),
        ..ImportOverrides::default()
    };
    refused(&path, &flags, "--patch-merging monai-1.4");
    flags.patch_merging = Some(PatchMerging::Monai14);
    refused(&path, &flags, "--spacing");
    flags.spacing = Some(spacing);
    let (plan, assumptions) = imported(&path, &flags).unwrap();
    assert_eq!(plan.preprocessing, z_scores(spacing));
    assert_eq!(plan.restore, Restore::Probabilities);
    assert_eq!(plan.activation, Activation::Sigmoid);
    assert_eq!(
        assumptions.len(),
        1,
        "regions have no names: {assumptions:?}"
    );

    flags.modality = Some(Modality::Ct);
    refused(&path, &flags, "--bounds");
    flags.bounds = Some([-100., 200.]);
    flags.activation = None;
    let (plan, assumptions) = imported(&path, &flags).unwrap();
    let range = Normalization::ClippedRange {
        low: -100.,
        high: 200.,
    };
    assert_eq!(
        plan.preprocessing[0],
        Step::Normalize {
            channels: vec![range; CHANNELS]
        }
    );
    assert_eq!(
        plan.preprocessing[1],
        Step::CropForeground {
            threshold: 0.,
            margin: 0
        }
    );
    assert_eq!(plan.activation, Activation::Softmax);
    let told = assumptions
        .iter()
        .any(|text| text.contains("--activation sigmoid"));
    assert!(told, "{assumptions:?}");
    flags.roi = Some([32; 3]);
    refused(&path, &flags, "--roi");
    flags.roi = Some([64; 3]);
    flags.architecture = Some(path.clone());
    let error = imported(&path, &flags).unwrap_err();
    assert!(
        matches!(
            error,
            ImportError::DintsFile { .. } | ImportError::ReadArchitecture { .. }
        ),
        "{error}"
    );
}

#[test]
fn golden_searched_networks_ask_for_their_architecture() {
    let Some((place, path)) = checkpoint("dints/searched") else {
        return;
    };
    let mut flags = ImportOverrides {
        roi: Some([32; 3]),
        modality: Some(Modality::Mri),
        spacing: Some([1.; 3]),
        activation: Some(Activation::Sigmoid),
        ..ImportOverrides::default()
    };
    refused(&path, &flags, "--architecture FILE");
    let facts = golden::find("algorithms/dints/searched.json").unwrap();
    let facts: Value = serde_json::from_slice(&std::fs::read(facts).unwrap()).unwrap();
    let config = &facts["config"];
    let matrices =
        ["node_a", "code_a", "code_c"].map(|name| (name.to_owned(), config[name].clone()));
    let matrices: serde_json::Map<String, Value> = matrices.into_iter().collect();
    let file = place.path().join("architecture.json");
    let write = |value: Value| std::fs::write(&file, value.to_string()).unwrap();
    flags.architecture = Some(file.clone());
    write(json!({"node_a": []}));
    refused(&path, &flags, "docs/importing.md");
    write(matrices.into());
    let (plan, _) = imported(&path, &flags).unwrap();
    assert_eq!(plan.preprocessing, z_scores([1.; 3]));
    assert_eq!(plan.restore, Restore::Logits);
    flags.patch_merging = Some(PatchMerging::Monai15);
    refused(&path, &flags, "leave `--patch-merging` out");
}
