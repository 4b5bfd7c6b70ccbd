//! Checkpoints of DiNTS against the reference's stored outputs, in Burn and in ONNX Runtime.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use burn_flex::Flex;
use flate2::read::GzDecoder;
use ndarray::{ArrayD, Axis, Ix5, Slice};
use ndarray_npy::NpzReader;
use serde_json::{Value, json};
use vesal_exporter::import::Checkpoint;
use vesal_exporter::{lower, parity, weights};
use vesal_models::Network;
use vesal_models::monai::{self, Arguments};
use vesal_network::{ArchitectureError, DintsArchitecture, DintsConfig, NetworkConfig, Shapes};

use crate::support::{
    forward, golden, largest_difference, largest_difference_at, network, runtime,
};

/// Most nodes of a graph of the default architecture.
const MAX_NODES: usize = 760;

/// The network that the facts describe.
fn described(facts: &Value) -> NetworkConfig {
    let config = json!({ "network": facts["config"] });
    let map = config.as_object().unwrap();
    let arguments = Arguments {
        path: "config",
        map,
        root: map,
    };
    monai::network(&arguments).unwrap().unwrap()
}

fn checkpoint(folder: &Path, facts: &Value) -> Checkpoint {
    let file = facts["checkpoint"]["file"].as_str().unwrap();
    let mut bytes = Vec::new();
    let packed = File::open(folder.join(file)).unwrap();
    GzDecoder::new(packed).read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes.len() as u64, facts["checkpoint"]["plain_bytes"]);
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("model.pt");
    std::fs::write(&path, bytes).unwrap();
    Checkpoint::read(&path).unwrap()
}

#[test]
fn golden_outputs_of_dints() {
    let Some(folder) = golden::find("algorithms/dints") else {
        return;
    };
    for name in ["default", "searched"] {
        let file = folder.join(format!("{name}.json"));
        let facts: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        let mut arrays = NpzReader::new(File::open(file.with_extension("npz")).unwrap()).unwrap();
        let checkpoint = checkpoint(&folder, &facts);
        let config = described(&facts);
        assert_eq!(config.parameters(), facts["parameters"]);
        let NetworkConfig::Dints(dints) = &config else {
            panic!("{config:?} is no DiNTS");
        };
        let active = dints.architecture.cells().count() as u64;
        assert_eq!(facts["active_paths"], active);
        assert_eq!(dints.architecture.is_default(), name == "default");

        let state_dict: BTreeMap<String, Vec<usize>> =
            serde_json::from_value(facts["state_dict"].clone()).unwrap();
        let expected: BTreeMap<_, _> = config.tensors().into_iter().collect();
        assert_eq!(state_dict, expected);
        let shapes = checkpoint.tensors.iter();
        let shapes: Shapes<'_> = shapes
            .map(|(name, data)| (name.as_str(), data.shape.to_vec()))
            .collect();
        let found = DintsConfig::infer_with(&shapes, dints.architecture.clone());
        assert_eq!(found.as_ref(), Ok(dints));
        match NetworkConfig::infer(&shapes) {
            Ok(found) => assert_eq!((found, name), (config.clone(), "default")),
            Err(error) => assert!(
                matches!(error, ArchitectureError::Untold { .. }) && name == "searched",
                "{name}: {error}"
            ),
        }

        let network: Network<Flex> =
            weights::load(&config, checkpoint.tensors, &Default::default()).unwrap();
        for case in facts["cases"].as_array().unwrap() {
            let case_name = format!("{name}, {}", case["name"].as_str().unwrap());
            let array = |kind: &str| format!("{}_{kind}", case["name"].as_str().unwrap());
            let input: ArrayD<f32> = arrays.by_name(&array("input")).unwrap();
            let input = input.into_dimensionality::<Ix5>().unwrap();
            let expected = golden::stored(&mut arrays, &array("output"));
            assert!(!expected.is_empty());
            let allowed = (4. * case["float32_error"].as_f64().unwrap() + 1e-5) as f32;
            let found = largest_difference_at(&forward(&network, &input), &expected);
            println!("{case_name}: {found:e} of {allowed:e} in Burn");
            assert!(found <= allowed, "{case_name} differs by {found} in Burn");

            let (_, _, x, y, z) = input.dim();
            let onnx = lower::to_onnx(&network, &config, [x, y, z]).unwrap();
            let output = parity::run_onnx(runtime(), &onnx, &config, &input).unwrap();
            let found = largest_difference_at(&output, &expected);
            println!("{case_name}: {found:e} of {allowed:e} in ONNX Runtime");
            assert!(
                found <= allowed,
                "{case_name} differs by {found} in ONNX Runtime"
            );
        }
    }
}

#[test]
fn golden_matrices_of_the_template_are_the_default_architecture() {
    let Some(file) = golden::find("algorithms/dints_arch_code.json") else {
        return;
    };
    let bytes = std::fs::read(file).unwrap();
    let architecture = monai::read_architecture(&bytes).unwrap();
    assert_eq!(architecture, DintsArchitecture::default());
}

#[test]
fn a_graph_of_dints_is_small_and_its_batch_is_free() {
    let config = NetworkConfig::Dints(DintsConfig {
        in_channels: 1,
        out_channels: 2,
        filters: 1,
        architecture: DintsArchitecture::default(),
    });
    let network = network(&config, 3);
    let window = [32, 32, 64];
    let graph = lower::lower(&network, &config, window).unwrap().graph;
    let graph = graph.unwrap();
    let mut counts = BTreeMap::new();
    for node in &graph.node {
        *counts.entry(node.op_type().to_owned()).or_insert(0) += 1;
    }
    let count = graph.node.len();
    assert!(count <= MAX_NODES, "{count} nodes: {counts:?}");
    println!("{count} nodes: {counts:?}");
    // What the output does not depend on is not in the graph.
    let initializers = graph.initializer.iter();
    let names: Vec<&str> = initializers.map(|tensor| tensor.name()).collect();
    assert!(names.contains(&"dints_space.cell_tree.(0, 2).preprocess.conv_1.weight"));
    assert!(names.contains(&"stem_down.2.mod.1.weight"));
    assert!(!names.iter().any(|name| name.starts_with("stem_down.3")));

    let onnx = lower::to_onnx(&network, &config, window).unwrap();
    let [x, y, z] = window;
    let both = crate::support::input(5, [2, 1, x, y, z]);
    let together = parity::run_onnx(runtime(), &onnx, &config, &both).unwrap();
    let scale = together
        .iter()
        .fold(0_f32, |most, value| most.max(value.abs()));
    for case in 0..2 {
        let of_case = Slice::from(case..case + 1);
        let one = both.slice_axis(Axis(0), of_case).to_owned();
        let alone = parity::run_onnx(runtime(), &onnx, &config, &one).unwrap();
        let difference = largest_difference(
            &alone.iter().copied().collect::<Vec<_>>(),
            &together
                .slice_axis(Axis(0), of_case)
                .iter()
                .copied()
                .collect::<Vec<_>>(),
        );
        assert!(
            difference <= 1e-4 * scale,
            "case {case} differs by {difference}"
        );
    }
}
