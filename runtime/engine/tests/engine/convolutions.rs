//! Own convolutions in a network equal ONNX Runtime's.

use std::num::NonZeroUsize;

use crate::comparison::relative_difference;
use crate::example;
use crate::network::{Example, Random};
use ndarray::Array5;
use vesal_bundle::DeployPlan;
use vesal_bundle::manifest::NetworkInterface;
use vesal_engine::memory::ARENA_FACTOR;
use vesal_engine::{
    Convolutions, Device, EngineOptions, Ensemble, InferencePrecision, OnnxPredictor,
};
use vesal_onnx::proto::ModelProto;
use vesal_onnx::{OPSET, OnnxModel};

const EXAMPLE: Example = Example {
    features: 8,
    classes: 3,
    window: [8, 12, 16],
    seed: 3,
};

fn plan() -> DeployPlan {
    let mut plan = example::plan(Vec::new());
    plan.window.size = EXAMPLE.window;
    plan
}

fn interface() -> NetworkInterface {
    NetworkInterface {
        opset: OPSET,
        ..example::interface()
    }
}

/// The example, one of whose convolutions has a bias.
fn model() -> ModelProto {
    let mut model = EXAMPLE.model();
    let nodes = &mut model.graph.as_mut().expect("a graph").node;
    let node = nodes.iter_mut().find(|node| node.name() == "down.conv1");
    node.expect("a node").input.push("down.norm1.bias".into());
    model
}

fn options(convolutions: Convolutions) -> EngineOptions {
    EngineOptions {
        convolutions,
        ..example::options()
    }
}

fn predictor(options: &EngineOptions) -> OnnxPredictor {
    let network = OnnxModel::from(model()).encode();
    let (plan, interface) = (plan(), interface());
    let runtime = example::runtime();
    OnnxPredictor::new(
        runtime,
        network.into(),
        &interface,
        &plan,
        Device::Cpu,
        options,
    )
    .expect("a predictor")
}

fn images(batch: usize) -> Array5<f32> {
    let [x, y, z] = EXAMPLE.window;
    let mut random = Random(11);
    Array5::from_shape_simple_fn((batch, 1, x, y, z), || 3. * random.next())
}

/// Whether this processor is supported by them.
fn here() -> bool {
    #[cfg(target_arch = "x86_64")]
    return is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    #[cfg(not(target_arch = "x86_64"))]
    false
}

#[test]
fn networks_with_own_convolutions_compute_the_same() {
    let mut theirs = predictor(&options(Convolutions::OnnxRuntime));
    assert!(
        !theirs.execution().contains("own"),
        "{}",
        theirs.execution()
    );
    for (threads, batch) in [
        (None, 1),
        (NonZeroUsize::new(1), 1),
        (NonZeroUsize::new(3), 2),
    ] {
        let options = EngineOptions {
            threads,
            batch: NonZeroUsize::new(batch),
            ..options(Convolutions::Own)
        };
        let mut own = predictor(&options);
        assert_eq!(
            own.execution().contains(" own convolutions ("),
            here(),
            "{}",
            own.execution()
        );
        let images = images(batch);
        // The second time with the cached plan.
        for _ in 0..2 {
            let found = own.logits(images.view()).expect("logits");
            for (image, found) in images.outer_iter().zip(found.outer_iter()) {
                let image = image.insert_axis(ndarray::Axis(0));
                let expected = theirs.logits(image).expect("logits");
                let found = found.insert_axis(ndarray::Axis(0));
                let off = relative_difference(found, expected.view());
                assert!(off <= 1e-5, "{off}");
                assert!(here() || off == 0.);
            }
        }
    }
}

#[test]
fn other_precisions_keep_their_convolutions() {
    let options = EngineOptions {
        precision: InferencePrecision::Float16,
        ..options(Convolutions::Own)
    };
    let predictor = predictor(&options);
    assert!(
        !predictor.execution().contains("own"),
        "{}",
        predictor.execution()
    );
}

#[test]
fn what_own_convolutions_take_is_planned() {
    let bytes = |convolutions| {
        let network = OnnxModel::from(model()).encode();
        let networks = [(&network[..], 1.)];
        let ensemble =
            Ensemble::from_networks(&plan(), &interface(), &networks, &options(convolutions));
        ensemble.expect("opens").network_bytes()
    };
    let [own, theirs] = [Convolutions::Own, Convolutions::OnnxRuntime].map(bytes);
    // ONNX Runtime's transposed convolutions go through matrices of columns.
    let network = OnnxModel::from(model());
    let [with, without] =
        [true, false].map(|columns| network.activation_bytes(1, 4, columns).expect("shapes"));
    assert!(with > without);
    let theirs = theirs - ARENA_FACTOR * (with - without);
    assert_eq!(own > theirs, here());
    // Weights of 8 and 16 channels in another form, and what a thread works in, are less than a megabyte.
    let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    assert!(own - theirs < (1 << 20) * (1 + threads) as u64);
}
