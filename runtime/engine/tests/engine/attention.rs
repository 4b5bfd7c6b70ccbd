//! Attention of this program in a network equals ONNX Runtime's, and takes less memory.

use std::num::NonZeroUsize;

use ndarray::{Array5, Axis};
use vesal_bundle::DeployPlan;
use vesal_bundle::manifest::NetworkInterface;
use vesal_engine::{Convolutions, Device, EngineOptions, Ensemble, OnnxPredictor};
use vesal_onnx::{OPSET, OnnxModel};

use crate::comparison::relative_difference;
use crate::example;
use crate::network::{AttentionExample, Random};

const EXAMPLE: AttentionExample = AttentionExample {
    size: [8, 7, 6],
    windows: 6,
    heads: 3,
    depth: 4,
    regions: 3,
};

fn plan(size: [usize; 3]) -> DeployPlan {
    let mut plan = example::plan(Vec::new());
    plan.window.size = size;
    plan.labels.truncate(2);
    plan
}

fn interface() -> NetworkInterface {
    NetworkInterface {
        opset: OPSET,
        ..example::interface()
    }
}

fn options(convolutions: Convolutions, threads: usize, batch: usize) -> EngineOptions {
    EngineOptions {
        convolutions,
        threads: NonZeroUsize::new(threads),
        batch: NonZeroUsize::new(batch),
        ..example::options()
    }
}

fn predictor(of: AttentionExample, options: &EngineOptions) -> OnnxPredictor {
    let network = OnnxModel::from(of.model()).encode();
    OnnxPredictor::new(
        example::runtime(),
        network.into(),
        &interface(),
        &plan(of.size),
        Device::Cpu,
        options,
    )
    .expect("a predictor")
}

/// Whether this processor is supported.
fn here() -> bool {
    #[cfg(target_arch = "x86_64")]
    return is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    #[cfg(not(target_arch = "x86_64"))]
    false
}

#[test]
fn networks_with_own_attention_compute_the_same() {
    for example in [
        EXAMPLE,
        AttentionExample {
            regions: 1,
            ..EXAMPLE
        },
    ] {
        let theirs = options(Convolutions::OnnxRuntime, 1, 1);
        let mut theirs = predictor(example, &theirs);
        for (threads, batch) in [(1, 1), (3, 2)] {
            let mut own = predictor(example, &options(Convolutions::Own, threads, batch));
            let text = own.execution();
            assert_eq!(text.contains(" and 1 attentions ("), here(), "{text}");
            let [x, y, z] = example.size;
            let mut random = Random(5);
            let images = Array5::from_shape_simple_fn((batch, 1, x, y, z), || random.next());
            let found = own.logits(images.view()).expect("logits");
            for (image, found) in images.outer_iter().zip(found.outer_iter()) {
                let image = image.insert_axis(Axis(0));
                let expected = theirs.logits(image).expect("logits");
                let found = found.insert_axis(Axis(0));
                let off = relative_difference(found, expected.view());
                assert!(off <= 1e-5, "{off}");
            }
        }
    }
}

#[test]
fn weights_of_keys_are_not_in_the_plan() {
    let wide = AttentionExample {
        size: [14, 14, 7],
        windows: 4,
        ..EXAMPLE
    };
    let bytes = |convolutions| {
        let network = OnnxModel::from(wide.model()).encode();
        let networks = [(&network[..], 1.)];
        let options = options(convolutions, 1, 1);
        let ensemble = Ensemble::from_networks(&plan(wide.size), &interface(), &networks, &options);
        ensemble.expect("opens").network_bytes()
    };
    let [own, theirs] = [Convolutions::Own, Convolutions::OnnxRuntime].map(bytes);
    // Of 3 heads in 4 windows, before and after the mask is added.
    let scores = 2 * 12 * 343 * 343 * 4;
    assert_eq!(own + scores <= theirs, here(), "{own} {theirs}");
}
