//! Checkpoints of two-dimensional networks against the reference's stored outputs, in Burn and in ONNX Runtime.

use std::path::PathBuf;

use burn_flex::Flex;
use ndarray::{ArrayD, Ix5};
use serde_json::Value;
use vesal_bundle::Bundle;
use vesal_bundle::deploy_plan::Modality;
use vesal_engine::verify;
use vesal_exporter::import::{Checkpoint, ImportOverrides, import};
use vesal_exporter::{lower, parity, weights};
use vesal_models::Network;
use vesal_network::NetworkConfig;
use vesal_onnx::OnnxModel;
use vesal_volume::preprocess::{Normalization, Step};

use crate::support::{engine_options, forward, golden, largest_difference_at, runtime};
use crate::work_dir::destination;

const TEMPLATE: &str = "saved_by_template.pt";

fn folder() -> Option<PathBuf> {
    golden::find("algorithms/segresnet2d")
}

#[test]
fn golden_outputs_of_two_dimensional_networks() {
    let Some(folder) = folder() else { return };
    let place = tempfile::tempdir().unwrap();
    for (facts, mut arrays, path) in golden::networks(&folder, place.path()) {
        let checkpoint = Checkpoint::read(&path).unwrap();
        let config = golden::network_config(&checkpoint);
        assert_eq!(config.parameters(), facts["parameters"]);
        let state_dict = facts["state_dict"].as_object().unwrap();
        let floats = state_dict.iter().filter(|(_, shape)| shape[0] == "float32");
        for (name, shape) in floats.clone() {
            let found = checkpoint.tensors[name].shape.to_vec();
            let found: Vec<Value> = found.into_iter().map(Value::from).collect();
            assert_eq!(found, shape.as_array().unwrap()[1..], "{name}");
        }
        assert_eq!(checkpoint.tensors.len(), floats.count());
        let shapes = checkpoint.tensors.iter();
        let shapes = shapes.map(|(name, data)| (name.as_str(), data.shape.to_vec()));
        assert_eq!(
            NetworkConfig::infer(&shapes.collect()),
            Ok(config.clone()),
            "the network is told from its weights"
        );

        let network: Network<Flex> =
            weights::load(&config, checkpoint.tensors, &Default::default()).unwrap();
        for case in facts["cases"].as_array().unwrap() {
            let name = case["name"].as_str().unwrap();
            let input: ArrayD<f32> = arrays.by_name(&format!("{name}_input")).unwrap();
            let input = input.into_dimensionality::<Ix5>().unwrap();
            let expected = golden::stored(&mut arrays, &format!("{name}_output"));
            let allowed = golden::tolerance(case);
            let found = largest_difference_at(&forward(&network, &input), &expected);
            assert!(found <= allowed, "{name} differs by {found} in Burn");

            let (_, _, x, y, z) = input.dim();
            let onnx = lower::to_onnx(&network, &config, [x, y, z]).unwrap();
            let output = parity::run_onnx(runtime(), &onnx, &config, &input).unwrap();
            let found = largest_difference_at(&output, &expected);
            assert!(
                found <= allowed,
                "{name} differs by {found} in ONNX Runtime"
            );
            let scaled = OnnxModel::decode(onnx)
                .unwrap()
                .scale_batch_norms()
                .unwrap();
            assert!(!scaled.has_operator("BatchNormalization"));
            let output = parity::run_onnx(runtime(), &scaled.encode(), &config, &input).unwrap();
            let found = largest_difference_at(&output, &expected);
            assert!(found <= allowed, "{name} differs by {found} when scaled");
        }
    }
}

#[test]
fn golden_checkpoint_of_the_template_becomes_a_bundle() {
    let Some(folder) = folder() else { return };
    let place = tempfile::tempdir().unwrap();
    let path = folder.join(TEMPLATE);
    let checkpoint = Checkpoint::read(&path).unwrap();
    let settings = checkpoint.config.clone().unwrap();
    let destination = destination(place.path().join("bundle"));
    let imported = import(
        &[path],
        &ImportOverrides::default(),
        &destination,
        &mut |_| {},
    )
    .unwrap();
    assert!(imported.assumptions.is_empty());
    let bundle = Bundle::open(&destination.output).unwrap();
    let plan = bundle.plan();
    let [low, high] = [0, 1].map(|end| settings["intensity_bounds"][end].as_f64().unwrap() as f32);
    let crop = Step::CropForeground {
        threshold: 0.,
        margin: 10,
    };
    let normalize = Step::Normalize {
        channels: vec![Normalization::SigmoidRange { low, high }],
    };
    assert_eq!(plan.preprocessing, [crop, normalize]);
    assert_eq!(serde_json::json!(plan.window.size), settings["roi_size"]);
    assert_eq!(plan.window.overlap, [0.625, 0.625, 0.]);
    let names = plan.labels.iter().map(|label| label.name.as_str());
    assert_eq!(names.collect::<Vec<_>>(), ["background", "a", "b"]);
    assert!(verify(&bundle, &engine_options()).unwrap().passed());
}

#[test]
fn golden_checkpoint_of_the_template_has_the_weights_of_the_other() {
    let Some(folder) = folder() else { return };
    let place = tempfile::tempdir().unwrap();
    let template = Checkpoint::read(&folder.join(TEMPLATE)).unwrap();
    let mut same = golden::networks(&folder, place.path())
        .into_iter()
        .filter(|(.., path)| Checkpoint::read(path).unwrap().tensors == template.tensors);
    assert!(same.next().is_some());
    assert!(same.next().is_none());
}

#[test]
fn golden_checkpoints_of_two_families_are_members_of_one_bundle() {
    let (Some(folder), Some(solid)) = (folder(), golden::find("segresnet_ds/iso4.pt")) else {
        return;
    };
    let place = tempfile::tempdir().unwrap();
    let planar = folder.join(TEMPLATE);
    let checkpoint = Checkpoint::read(&planar).unwrap();
    let roi = checkpoint.config.unwrap()["roi_size"].clone();
    let mut flags = ImportOverrides {
        roi: Some(serde_json::from_value(roi).unwrap()),
        modality: Some(Modality::Ct),
        bounds: Some([-100., 300.]),
        ..Default::default()
    };
    let destination = destination(place.path().join("bundle"));
    let both = [solid, planar.clone(), planar];
    let differ = import(&both, &flags, &destination, &mut |_| {}).unwrap_err();
    assert!(differ.to_string().contains("differ in labels"), "{differ}");
    flags.labels = Some(["background", "a", "b"].map(str::to_owned).to_vec());
    import(&both, &flags, &destination, &mut |_| {}).unwrap();
    let bundle = Bundle::open(&destination.output).unwrap();
    let groups = bundle.groups();
    assert_eq!(groups.len(), 2);
    let turns: Vec<bool> = groups
        .iter()
        .map(|group| group.plan.preprocessing.contains(&Step::OrientRas))
        .collect();
    assert_eq!(turns, [true, false]);
    let files = bundle.manifest().members.iter();
    let files: Vec<&str> = files.map(|member| member.deploy_plan.as_str()).collect();
    assert_eq!(
        files,
        [
            "deploy_plan.json",
            "deploy_plan_2.json",
            "deploy_plan_2.json"
        ]
    );
}
