//! Importing MONAI's bundles and folders of Auto3DSeg's algorithms.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;
use vesal_bundle::Bundle;
use vesal_bundle::deploy_plan::{Activation, DeployPlan, Modality};
use vesal_exporter::import::{ImportError, ImportOverrides, import};
use vesal_volume::preprocess::{Normalization, Restore, Step};
use vesal_volume::window::{Blend, Padding};

use crate::support::checkpoint::{Layout, write};
use crate::support::folders::{configs, inference, metadata, models};
use crate::support::{config, tensors};
use crate::work_dir::destination;

fn network() -> Value {
    json!({
        "_target_": "monai.networks.nets.SegResNetDS", "init_filters": 4, "blocks_down": [1, 2], "in_channels": 1,
        "out_channels": 3, "dsdepth": 2, "norm": "INSTANCE"
    })
}

/// A bundle with this inference, and another bundle's worth of metadata.
fn bundle(inference: &Value) -> (TempDir, PathBuf) {
    let place = TempDir::new().unwrap();
    let root = place.path().join("zoo");
    let metadata = metadata("CT", &["background", "spleen", "liver"]);
    configs(
        &root,
        &[("inference.json", inference), ("metadata.json", &metadata)],
    );
    let weights = tensors(&config(&[1, 2], [1, 3], None), 1);
    let model = models(&root, "models", "model.pt");
    write(&model, &weights, "", Layout::Contiguous, &[]);
    (place, root)
}

fn imported(
    paths: &[PathBuf],
    flags: &ImportOverrides,
) -> Result<(DeployPlan, Vec<String>), ImportError> {
    let place = TempDir::new().unwrap();
    let destination = destination(place.path().join("bundle"));
    let imported = import(paths, flags, &destination, &mut |_| {})?;
    let bundle = Bundle::open(&destination.output).unwrap();
    Ok((bundle.plan().clone(), imported.assumptions))
}

#[test]
fn a_bundle_is_imported_as_its_configuration_says() {
    let (_place, root) = bundle(&inference(network()));
    let flags = ImportOverrides::default();
    let (plan, assumptions) = imported(std::slice::from_ref(&root), &flags).unwrap();
    assert_eq!(assumptions, Vec::<String>::new());
    let range = Normalization::ClippedRange {
        low: -175.,
        high: 250.,
    };
    let expected = [
        Step::OrientRas,
        Step::Resample {
            spacing: [1.5, 1.5, 2.],
            keep: [1., 1.],
        },
        Step::Normalize {
            channels: vec![range],
        },
    ];
    assert_eq!(plan.preprocessing, expected);
    assert_eq!(plan.window.size, [16, 16, 8]);
    assert_eq!(plan.window.overlap, [0.5; 3]);
    assert_eq!(plan.window.blend, Blend::Constant);
    assert_eq!(plan.window.padding, Padding::Constant(0.));
    assert_eq!(plan.activation, Activation::Softmax);
    assert_eq!(plan.restore, Restore::Probabilities);
    assert_eq!(plan.channels[0].modality, Modality::Ct);
    let names: Vec<_> = plan
        .labels
        .iter()
        .map(|label| label.name.as_str())
        .collect();
    assert_eq!(names, ["background", "spleen", "liver"]);

    // The checkpoint inside of it is the same.
    let (same, _) = imported(&[root.join("models/model.pt")], &flags).unwrap();
    assert_eq!(same, plan);
    let flags = ImportOverrides {
        spacing: Some([1., 1., 3.]),
        bounds: Some([-100., 300.]),
        roi: Some([8; 3]),
        ..flags
    };
    let (other, _) = imported(&[root], &flags).unwrap();
    assert_eq!(
        other.preprocessing[1],
        Step::Resample {
            spacing: [1., 1., 3.],
            keep: [1., 1.]
        }
    );
    assert_eq!(
        other.preprocessing[2],
        Step::Normalize {
            channels: vec![Normalization::ClippedRange {
                low: -100.,
                high: 300.
            }]
        }
    );
    assert_eq!(
        (other.window.size, other.window.overlap),
        ([8; 3], [0.5; 3])
    );
}

/// The causes of an error, in one text.
fn told(error: &ImportError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text += &format!(": {cause}");
        source = cause.source();
    }
    text
}

#[test]
fn what_a_bundle_needs_code_for_is_refused_and_can_be_stated() {
    let changed = |pointer: &str, value: Value| {
        let mut inference = inference(network());
        *inference.pointer_mut(pointer).unwrap() = value;
        bundle(&inference)
    };
    let stated = ImportOverrides {
        modality: Some(Modality::Mri),
        roi: Some([8; 3]),
        overlap: Some([0.5; 3]),
        activation: Some(Activation::Sigmoid),
        ..ImportOverrides::default()
    };
    for (pointer, value, expected, hint) in [
        (
            "/preprocessing/transforms/4",
            json!({"_target_": "Lambdad", "keys": "image", "func": "$lambda x: x / 100"}),
            "`preprocessing` has `Lambdad`",
            "--modality",
        ),
        (
            "/preprocessing/transforms/3/pixdim",
            json!("$[1, 1, 2 * 2]"),
            "pixdim",
            "--spacing",
        ),
        ("/spacing", json!("$f()"), "pixdim", "--spacing"),
        (
            "/inferer",
            json!({"_target_": "SimpleInferer"}),
            "`inferer` has `SimpleInferer`",
            "--roi",
        ),
        ("/window", json!("$(96,) * 3"), "roi_size", "--roi"),
        (
            "/postprocessing/transforms/1",
            json!({"_target_": "KeepLargestConnectedComponentd", "keys": "pred"}),
            "KeepLargestConnectedComponentd",
            "--activation",
        ),
    ] {
        let (_place, root) = changed(pointer, value);
        let error = imported(std::slice::from_ref(&root), &ImportOverrides::default()).unwrap_err();
        let text = told(&error);
        assert!(text.contains(expected), "{text}");
        assert!(error.hint().unwrap().contains(hint), "{:?}", error.hint());
        let (plan, _) = imported(&[root], &stated).unwrap();
        assert_eq!(plan.window.size, [8; 3]);
        assert_eq!(plan.activation, Activation::Sigmoid);
        let steps = serde_json::to_string(&plan.preprocessing).unwrap();
        assert!(steps.contains("z_score_nonzero"), "{steps}");
    }
    for (pointer, value, expected) in [
        ("/network_def/_target_", json!("UNet"), "_target_"),
        (
            "/network_def/_target_",
            json!("scripts.mynet.SegResNetDS"),
            "_target_",
        ),
        (
            "/network_def/norm",
            json!(["INSTANCE", {"affine": false}]),
            "norm",
        ),
        (
            "/network_def",
            json!({"_target_": "SegResNetDS", "norm": "INSTANCE", "n_groups": 3}),
            "n_groups",
        ),
        ("/network_def/blocks_down", json!("$[1, 2]"), "blocks_down"),
        ("/network_def/init_filters", json!(8), "init_filters"),
        ("/preprocessing/transforms/0/keys", json!("@lost"), "`lost`"),
    ] {
        let (_place, root) = changed(pointer, value);
        let error = imported(&[root], &ImportOverrides::default()).unwrap_err();
        assert!(told(&error).contains(expected), "{}", told(&error));
    }
}

#[cfg(unix)]
#[test]
fn settings_that_are_no_files_of_the_folder_are_refused() {
    let (place, root) = bundle(&inference(network()));
    let told_of =
        |path: PathBuf| told(&imported(&[path], &ImportOverrides::default()).unwrap_err());
    let file = root.join("configs/metadata.json");
    let elsewhere = place.path().join("elsewhere.json");
    fs::rename(&file, &elsewhere).unwrap();
    for (target, expected) in [
        (elsewhere.as_path(), "is a link out of the folder"),
        (Path::new("/dev/zero"), "is not a regular file"),
        (Path::new("absent.json"), "is a link to nothing"),
    ] {
        std::os::unix::fs::symlink(target, &file).unwrap();
        let text = told_of(root.clone());
        assert!(text.contains(expected), "{text}");
        fs::remove_file(&file).unwrap();
    }
    let _socket = std::os::unix::net::UnixListener::bind(&file).unwrap();
    let text = told_of(root.join("models/model.pt"));
    assert!(text.contains("is not a regular file"), "{text}");
    fs::remove_file(&file).unwrap();
    // A link within the folder is one of its files.
    fs::rename(&elsewhere, root.join("configs/other.json")).unwrap();
    std::os::unix::fs::symlink("other.json", &file).unwrap();
    assert!(imported(&[root], &ImportOverrides::default()).is_ok());
}

#[cfg(unix)]
#[test]
fn checkpoints_that_are_no_files_of_their_folder_are_refused() {
    let (place, root) = bundle(&inference(network()));
    let file = root.join("models/model.pt");
    let elsewhere = place.path().join("elsewhere.pt");
    fs::rename(&file, &elsewhere).unwrap();
    let folder = || imported(std::slice::from_ref(&root), &ImportOverrides::default());
    std::os::unix::fs::symlink(&elsewhere, &file).unwrap();
    let error = folder().unwrap_err();
    let text = told(&error);
    assert!(
        text.contains("models/model.pt` is a link out of the folder"),
        "{text}"
    );
    assert!(error.hint().unwrap().contains("cp -rL"));
    // Named itself, it is what the user means.
    let named = imported(std::slice::from_ref(&file), &ImportOverrides::default());
    assert!(named.is_ok());
    fs::remove_file(&file).unwrap();
    // The folder of the file may be a link as well.
    fs::remove_dir(root.join("models")).unwrap();
    let models = place.path().join("models");
    fs::create_dir(&models).unwrap();
    fs::copy(&elsewhere, models.join("model.pt")).unwrap();
    std::os::unix::fs::symlink(&models, root.join("models")).unwrap();
    let text = told(&folder().unwrap_err());
    assert!(text.contains("is a link out of the folder"), "{text}");
    fs::remove_file(root.join("models")).unwrap();
    fs::create_dir_all(&file).unwrap();
    let text = told(&folder().unwrap_err());
    assert!(text.contains("is not a regular file"), "{text}");
    fs::remove_dir(&file).unwrap();
    fs::rename(&elsewhere, root.join("models/blob")).unwrap();
    std::os::unix::fs::symlink("blob", &file).unwrap();
    assert!(folder().is_ok());
}

#[test]
fn truth_values_are_those_of_yaml_1_1() {
    let place = TempDir::new().unwrap();
    let root = place.path().join("segresnet_0");
    configs(&root, &[]);
    let weights = tensors(&config(&[1, 2], [1, 3], None), 1);
    let model = models(&root, "model", "model.pt");
    write(&model, &weights, "", Layout::Contiguous, &[]);
    let activation = |sigmoid: &str| {
        let text = format!(
            "roi_size: [8, 8, 8]\nmodality: mri\nclass_names: [a, b, c]\nsigmoid: {sigmoid}\n"
        );
        fs::write(root.join("configs/hyper_parameters.yaml"), text).unwrap();
        imported(std::slice::from_ref(&root), &ImportOverrides::default())
    };
    for yes in [
        "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON",
    ] {
        let (plan, _) = activation(yes).unwrap();
        assert_eq!(plan.activation, Activation::Sigmoid, "{yes}");
    }
    for wrong in ["y", "yEs", "1", "maybe"] {
        let text = told(&activation(wrong).unwrap_err());
        assert!(text.contains("expected true or false"), "{wrong}: {text}");
    }
    for no in ["no", "off", "False"] {
        let (plan, _) = activation(no).unwrap();
        assert_eq!(plan.activation, Activation::Softmax, "{no}");
    }
}

#[test]
fn folders_without_a_checkpoint_or_settings_say_so() {
    let place = TempDir::new().unwrap();
    let failed = |path: &Path| {
        let error = imported(&[path.to_owned()], &ImportOverrides::default()).unwrap_err();
        assert!(error.hint().is_some());
        told(&error)
    };
    let text = failed(place.path());
    assert!(text.contains("inference.json"), "{text}");
    let algorithm = place.path().join("segresnet_0");
    configs(
        &algorithm,
        &[("hyper_parameters.yaml", &json!({"roi_size": [8, 8, 8]}))],
    );
    let text = failed(&algorithm);
    assert!(text.contains("has 0 checkpoints"), "{text}");
    let work = imported(&[place.path().to_owned()], &ImportOverrides::default()).unwrap_err();
    assert!(told(&work).contains("holds 1 folders"), "{}", told(&work));
    let hint = work.hint().unwrap();
    assert!(hint.contains(&algorithm.display().to_string()), "{hint}");
    for fold in [0, 1] {
        let folder = format!("model_fold{fold}");
        std::fs::write(models(&algorithm, &folder, "best_metric_model.pt"), "").unwrap();
    }
    let text = failed(&algorithm);
    assert!(text.contains("has 2 checkpoints"), "{text}");
}

#[test]
fn a_checkpoint_has_the_settings_of_its_algorithm() {
    let place = TempDir::new().unwrap();
    let root = place.path().join("segresnet_0");
    let settings = json!({
        "bundle_root": "/elsewhere", "ckpt_path": "$@bundle_root + '/model'", "roi_size": [8, 8, 16],
        "modality": "ct", "intensity_bounds": [-50.5, 200], "resample": true, "resample_resolution": "@target",
        "target": [1, 1, 2.5], "class_names": ["a", "b"], "sigmoid": false, "network": network(),
    });
    configs(&root, &[("hyper_parameters.yaml", &settings)]);
    let weights = tensors(&config(&[1, 2], [1, 3], None), 1);
    let model = models(&root, "model", "model.pt");
    write(&model, &weights, "module.", Layout::ChannelsLast, &[]);
    let (plan, assumptions) = imported(&[root], &ImportOverrides::default()).unwrap();
    assert_eq!(assumptions, Vec::<String>::new());
    assert_eq!(plan.window.size, [8, 8, 16]);
    assert_eq!(plan.restore, Restore::Probabilities);
    let steps = serde_json::to_value(&plan.preprocessing).unwrap();
    assert_eq!(steps[2]["resample"]["spacing"], json!([1., 1., 2.5]));
    assert_eq!(
        plan.preprocessing[3],
        Step::Normalize {
            channels: vec![Normalization::SigmoidRange {
                low: -50.5,
                high: 200.
            }]
        }
    );
}
