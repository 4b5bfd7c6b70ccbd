//! Networks of attention against the reference's stored outputs, in Burn and in ONNX Runtime.

use burn_flex::Flex;
use ndarray::{Array5, ArrayD, Ix5};
use prost::Message;
use serde_json::{Value, json};
use vesal_exporter::import::Checkpoint;
use vesal_exporter::weights::StateDict;
use vesal_exporter::{lower, parity, weights};
use vesal_models::Network;
use vesal_models::monai::{self, Arguments};
use vesal_models::ops::{Eager, EagerValue};
use vesal_network::{NetworkConfig, PatchMerging, SwinUnetrConfig};
use vesal_onnx::proto::ModelProto;

use crate::support::{self, forward, golden, largest_difference_at, runtime};

const FOLDER: &str = "algorithms/swinunetr";
/// The case whose encoder and former order of merging are stored.
const CUBE: &str = "cube";

/// The network that the arguments of MONAI's class describe.
fn config(facts: &Value) -> SwinUnetrConfig {
    let map = json!({ "network": facts["config"] });
    let map = map.as_object().unwrap();
    let arguments = Arguments {
        path: "config",
        map,
        root: map,
    };
    match monai::network(&arguments).unwrap().unwrap() {
        NetworkConfig::Swinunetr(config) => config,
        other => panic!("read as {other:?}"),
    }
}

fn load(config: &SwinUnetrConfig, tensors: &StateDict) -> Network<Flex> {
    weights::load(&config.clone().into(), tensors.clone(), &Default::default()).unwrap()
}

/// Compares outputs in Burn and in ONNX Runtime with stored ones. ONNX Runtime's convolutions and norms round more than
/// PyTorch's: graphs that others made of the same networks deviate as much.
#[track_caller]
fn assert_outputs(
    network: &Network<Flex>,
    config: &NetworkConfig,
    input: &Array5<f32>,
    expected: &[(usize, f32)],
    (name, allowed): (&str, f32),
) {
    let found = largest_difference_at(&forward(network, input), expected);
    assert!(found <= allowed, "{name} differs by {found} in Burn");
    let (_, _, x, y, z) = input.dim();
    let onnx = lower::to_onnx(network, config, [x, y, z]).unwrap();
    let output = parity::run_onnx(runtime(), &onnx, config, input).unwrap();
    let found = largest_difference_at(&output, expected);
    assert!(
        found <= 2. * allowed,
        "{name} differs by {found} in ONNX Runtime"
    );
}

/// Outputs of the encoder, finest first.
fn encode(network: &Network<Flex>, input: &Array5<f32>) -> Vec<Vec<f32>> {
    let Network::Swinunetr(network) = network else {
        panic!("another family");
    };
    let input = support::tensor(input);
    let mut ops = Eager::new(&input.device());
    let hidden = network.encode(&mut ops, EagerValue::volume(input));
    let hidden = hidden.map(|value| value.into_tensor::<5>().into_data().into_vec().unwrap());
    hidden.into()
}

#[test]
fn golden_outputs_of_networks_of_attention() {
    let Some(folder) = golden::find(FOLDER) else {
        return;
    };
    let place = tempfile::tempdir().unwrap();
    for (facts, mut arrays, path) in golden::networks(&folder, place.path()) {
        let checkpoint = Checkpoint::read(&path).unwrap();
        let described = config(&facts);
        let config = NetworkConfig::from(described.clone());
        assert_eq!(config.parameters(), facts["parameters"]);
        let state_dict = facts["state_dict"].as_object().unwrap();
        let floats = state_dict.iter().filter(|(_, shape)| shape[0] == "float32");
        for (name, shape) in floats.clone() {
            let found = json!(checkpoint.tensors[name].shape.to_vec());
            assert_eq!(
                found.as_array().unwrap()[..],
                shape.as_array().unwrap()[1..],
                "{name}"
            );
        }
        assert_eq!(floats.count(), checkpoint.tensors.len());
        assert_eq!(state_dict.len(), checkpoint.tensors.len() + 8);
        let shapes = checkpoint.tensors.iter();
        let shapes = shapes.map(|(name, data)| (name.as_str(), data.shape.to_vec()));
        assert_eq!(NetworkConfig::infer(&shapes.collect()), Ok(config.clone()));

        let network = load(&described, &checkpoint.tensors);
        for case in facts["cases"].as_array().unwrap() {
            let name = case["name"].as_str().unwrap();
            let input: ArrayD<f32> = arrays.by_name(&format!("{name}_input")).unwrap();
            let input = input.into_dimensionality::<Ix5>().unwrap();
            let allowed = golden::tolerance(case);
            let expected = golden::stored(&mut arrays, &format!("{name}_output"));
            assert_outputs(&network, &config, &input, &expected, (name, allowed));
            if name == CUBE {
                let former = SwinUnetrConfig {
                    patch_merging: PatchMerging::Monai14,
                    ..described.clone()
                };
                let network = load(&former, &checkpoint.tensors);
                let expected = golden::stored(&mut arrays, "cube_output_monai_1_4");
                let name = "cube of MONAI 1.4";
                assert_outputs(&network, &former.into(), &input, &expected, (name, allowed));
            }
            if name == CUBE {
                for (level, found) in encode(&network, &input).iter().enumerate() {
                    let expected = golden::stored(&mut arrays, &format!("cube_hidden{level}"));
                    let found = largest_difference_at(found, &expected);
                    assert!(found <= allowed, "hidden{level} differs by {found}");
                }
            }
        }
    }
}

/// A lowered network with fresh weights, of which only the structure matters.
fn lowered(feature_size: usize, window: [usize; 3]) -> ModelProto {
    let config = NetworkConfig::from(SwinUnetrConfig {
        in_channels: 1,
        out_channels: 14,
        feature_size,
        patch_merging: PatchMerging::default(),
    });
    let network = vesal_models::init::<Flex>(&config, &Default::default()).unwrap();
    lower::lower(&network, &config, window).unwrap()
}

#[test]
fn a_network_of_full_size_has_few_nodes_and_a_small_file() {
    let model = lowered(48, [96; 3]);
    let bytes = model.encoded_len();
    let graph = model.graph.unwrap();
    assert!(graph.node.len() <= 420, "{} nodes", graph.node.len());
    // 62 million parameters, 26 MB of biases by relative position, 9 MB of masks, 10 MB of indices.
    assert!(bytes < 320_000_000, "{bytes} bytes");
    let count = |operator: &str| {
        let nodes = graph.node.iter();
        nodes
            .filter(|node| node.op_type.as_deref() == Some(operator))
            .count()
    };
    // Tokens are moved to windows and back, and eight are merged.
    assert_eq!(count("Gather"), 20);
    assert_eq!(count("Softmax"), 8);
    assert_eq!(count("LayerNormalization"), 25);
}

#[test]
fn a_window_that_leaves_one_voxel_is_refused() {
    let config = NetworkConfig::from(SwinUnetrConfig {
        in_channels: 1,
        out_channels: 2,
        feature_size: 12,
        patch_merging: PatchMerging::default(),
    });
    let network = vesal_models::init::<Flex>(&config, &Default::default()).unwrap();
    let error = lower::to_onnx(&network, &config, [32; 3]).unwrap_err();
    assert!(error.to_string().contains("one voxel"), "{error}");
    assert!(lower::to_onnx(&network, &config, [64, 32, 32]).is_ok());
}

#[test]
fn attention_is_recognized_when_networks_are_loaded() {
    let config: NetworkConfig = SwinUnetrConfig {
        in_channels: 1,
        out_channels: 2,
        feature_size: 12,
        patch_merging: PatchMerging::Monai15,
    }
    .into();
    let network = support::network(&config, 3);
    let onnx = lower::to_onnx(&network, &config, [64, 64, 96]).unwrap();
    let network = vesal_onnx::OnnxModel::load(onnx).unwrap();
    let mut ranks = Vec::new();
    let (fused, count) = network
        .fuse_attention(|sizes| {
            assert_eq!([sizes.queries, sizes.depth], [sizes.keys, sizes.features]);
            ranks.push(sizes.rank);
            true
        })
        .unwrap();
    assert_eq!(count, 8);
    // Every second block of a stage is shifted, where windows do not span all tokens.
    assert_eq!(
        ranks
            .iter()
            .map(|rank| usize::from(*rank > 1))
            .collect::<Vec<_>>(),
        [0, 1, 0, 1, 0, 1, 0, 0]
    );
    assert!(!fused.has_operator("Softmax"));
}
