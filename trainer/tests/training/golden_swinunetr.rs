//! A training step of networks of attention compared with MONAI and PyTorch: outputs, gradients, their norm, and the
//! optimizer's step with a limited norm.

use burn::optim::GradientsParams;
use burn::tensor::{Tensor, TensorData};
use burn_flex::Flex;
use vesal_bundle::deploy_plan::Activation;
use vesal_models::SegmentationNetwork;
use vesal_trainer::algorithms::{Loss, Optimizer};
use vesal_trainer::fit::optimizer::GradientDescent;
use vesal_trainer::loss::{Objective, deep_supervision};

use crate::golden_network::{
    B, channels_first, gradient, networks, parameters, regions_of_a_softmax, target, values,
};

/// PyTorch's values, which the golden file states as text.
const RATE: f64 = 4e-4;
const WEIGHT_DECAY: f64 = 1e-5;
const MAX_NORM: f64 = 0.5;

/// Tolerated difference of the norms of gradients, as a fraction and at all. What passes the instance norms of the deepest
/// level, of two voxels here, is the small difference of nearly equal sums; the gradient of a weight before a norm of its
/// only channel is 0 but for rounding.
const NORM_TOLERANCE: f64 = 5e-3;
const LEAST_NORM: f64 = 1e-6;
/// Smallest gradient whose step is compared, as a fraction of the parameter's largest, and at all.
const LEAST_GRADIENT: f32 = 1e-3;
const LEAST_GRADIENT_AT_ALL: f32 = 1e-6;
/// A hundredth of a step.
const STEP_TOLERANCE: f32 = 4e-6;

#[test]
fn golden_training_steps_of_networks_of_attention() {
    for mut golden in networks("swinunetr") {
        let network = golden.network();
        let training = golden.facts["training"].clone();
        let image = golden.array("train_input", "<f4", f32::from_le_bytes);
        let (shape, image) = image.unwrap();
        let image = TensorData::new(image, shape);
        let image = Tensor::<B, 5>::from_data(image, &Default::default()).require_grad();
        let outputs = network.forward_training(image.clone());
        let [logits] = outputs.as_slice() else {
            panic!("{} outputs, expected 1", outputs.len());
        };
        golden.assert_close("train_logits", &channels_first(logits.clone()));

        let is_sigmoid = golden.facts["activation"] == "sigmoid";
        let truth = golden.array("train_target", "|u1", u8::from_le_bytes);
        let (shape, truth) = truth.unwrap();
        let truth = target(&shape, &truth, is_sigmoid);
        let objective = Objective {
            loss: Loss::DiceCe { batch: false },
            activation: Activation::Softmax,
            class_weights: None,
        };
        let loss = match is_sigmoid {
            true => regions_of_a_softmax(&outputs, &truth),
            false => deep_supervision(outputs, truth, &objective),
        };
        let found = loss.clone().into_scalar();
        let expected = training["loss"].as_f64().unwrap() as f32;
        assert!(
            (found - expected).abs() <= golden.tolerance(),
            "loss {found}, expected {expected}"
        );

        let gradients = loss.backward();
        let of_image = values(image.grad(&gradients).unwrap());
        golden.assert_close("train_grad_input", &of_image);
        let gradients = GradientsParams::from_grads(gradients, &network);
        let ids = parameters(&network);
        let of_parameter = |name: &str, rank: usize| {
            let (id, _) = ids[name];
            gradient(&gradients, id, rank).unwrap()
        };
        let mut watched = Vec::new();
        for (index, facts) in training["watched"].as_array().unwrap().iter().enumerate() {
            let name = facts["name"].as_str().unwrap();
            let found = of_parameter(name, facts["shape"].as_array().unwrap().len());
            let expected = facts["norm"].as_f64().unwrap();
            let norm = found.iter().map(|&value| f64::from(value).powi(2));
            let norm = norm.sum::<f64>().sqrt();
            // Samples within the tolerance could still all be 0 where gradients are small; their norm is not.
            assert!(
                (norm - expected).abs() <= NORM_TOLERANCE * expected + LEAST_NORM,
                "the gradient of {name} has norm {norm}, expected {expected}"
            );
            golden.assert_close(&format!("train_grad{index}"), &found);
            watched.push((name, facts["max"].as_f64().unwrap() as f32));
        }
        assert_eq!(watched.len(), 19);
        let mut optimizer =
            GradientDescent::<Flex>::new(Optimizer::ADAMW, WEIGHT_DECAY, Some(MAX_NORM));
        let (network, squares) = optimizer.step::<B, _>(RATE, network, gradients, 1.0, false);
        let norm = f64::from(squares.unwrap().into_scalar()).sqrt();
        let expected = training["grad_norm"].as_f64().unwrap();
        assert!(
            (norm - expected).abs() <= NORM_TOLERANCE * expected,
            "all gradients have norm {norm}, expected {expected}"
        );
        let stepped = parameters(&network);
        let mut compared = 0;
        for (index, (name, largest)) in watched.into_iter().enumerate() {
            let gradients = golden.stored(&format!("train_grad{index}"));
            let expected = golden.stored(&format!("train_stepped{index}"));
            let (_, found) = &stepped[name];
            for ((place, expected), (same, gradient)) in expected.into_iter().zip(gradients) {
                assert_eq!(place, same);
                // A first step is as long for any gradient, so that rounding decides its direction where one is near 0.
                if gradient.abs() < (LEAST_GRADIENT * largest).max(LEAST_GRADIENT_AT_ALL) {
                    continue;
                }
                compared += 1;
                let difference = (found[place] - expected).abs();
                assert!(
                    difference <= STEP_TOLERANCE,
                    "{name}[{place}] is {}, expected {expected}",
                    found[place]
                );
            }
        }
        assert!(compared > 10_000, "{compared} steps are compared");
    }
}
