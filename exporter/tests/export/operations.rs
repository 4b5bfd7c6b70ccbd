//! Every operation of networks, and an attention block: Burn and ONNX Runtime compute the same.

use std::num::NonZeroUsize;

use burn_flex::Flex;
use prost::Message;
use vesal_bundle::DeployPlan;
use vesal_bundle::deploy_plan::{Activation, Channel, Label, Modality};
use vesal_engine::{Device, EngineOptions, OnnxPredictor};
use vesal_exporter::{lower, parity};
use vesal_onnx::check::check_bytes;
use vesal_volume::window::{Blend, Padding, WindowPlan};

use crate::cases::{CASES, CHANNELS, Case, Tiny, WINDOW};
use crate::support::{forward, input, largest_difference, runtime};

/// A minimal plan with the shape of a network.
fn plan(outputs: usize) -> DeployPlan {
    let channel = |index| Channel::new(format!("image {index}"), Modality::Mri);
    let label = |class_index| Label::new(format!("class {class_index}"), 0, class_index);
    DeployPlan {
        restore: Default::default(),
        name: "operations".into(),
        channels: (0..CHANNELS).map(channel).collect(),
        labels: (0..outputs).map(label).collect(),
        activation: Activation::Softmax,
        preprocessing: Vec::new(),
        window: WindowPlan {
            size: WINDOW,
            overlap: [0.; 3],
            blend: Blend::Constant,
            padding: Padding::Constant(0.),
        },
    }
}

/// Largest difference between Burn and ONNX Runtime, and largest absolute value.
fn difference(case: Case, batch: usize) -> [f32; 2] {
    let [x, y, z] = WINDOW;
    let network = Tiny::<Flex>::new(case);
    let input = input(5, [batch, CHANNELS, x, y, z]);
    let expected = forward(&network, &input);
    let outputs = expected.dim().1;

    let model = lower::lower_module(&network, "tiny", [CHANNELS, outputs], WINDOW).expect("lowers");
    let bytes = model.encode_to_vec();
    check_bytes(&bytes).unwrap_or_else(|error| panic!("{case:?}: {error}"));
    let options = EngineOptions {
        batch: NonZeroUsize::new(batch),
        ..EngineOptions::default()
    };
    let (plan, interface) = (plan(outputs), parity::interface());
    let predictor = OnnxPredictor::new(
        runtime(),
        bytes.as_slice().into(),
        &interface,
        &plan,
        Device::Cpu,
        &options,
    );
    let found = predictor.and_then(|mut predictor| predictor.logits(input.view()));
    let found = found.unwrap_or_else(|error| panic!("{case:?}: {error}"));
    assert_eq!(found.dim(), expected.dim(), "{case:?}");
    [
        largest_difference(&found, &expected),
        expected
            .iter()
            .fold(0., |largest, value| value.abs().max(largest)),
    ]
}

#[test]
fn every_operation_computes_the_same_in_onnx_runtime() {
    for case in CASES {
        for batch in [1, 2] {
            let [difference, largest] = difference(case, batch);
            assert!(
                difference <= 1e-5 * largest.max(1.),
                "{case:?} of {batch} cases differs by {difference}, largest value {largest}"
            );
            assert!(largest > 0.1, "{case:?} vanishes");
        }
    }
}

#[test]
fn parameters_and_constants_have_names_that_stay() {
    let model = || {
        let network = Tiny::<Flex>::new(Case::Attention);
        lower::lower_module(&network, "tiny", [CHANNELS, 5], WINDOW).expect("lowers")
    };
    assert_eq!(model().encode_to_vec(), model().encode_to_vec());
    let graph = model().graph.expect("a graph");
    let names = graph.initializer.iter();
    let names: Vec<&str> = names.filter_map(|tensor| tensor.name.as_deref()).collect();
    for expected in [
        "layer_norm.weight",
        "layer_norm.bias",
        "qkv.weight",
        "qkv.bias",
        "proj.weight",
        "table",
        "table.gather.indices",
        "image.slice.axes",
    ] {
        assert!(names.contains(&expected), "{expected} is not in {names:?}");
    }
}
