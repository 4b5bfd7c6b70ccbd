//! A training step of two-dimensional networks compared with MONAI and PyTorch: outputs with deep supervision,
//! gradients, optimizer and running statistics.

use burn::optim::GradientsParams;
use burn::tensor::activation::{log_softmax, sigmoid};
use burn::tensor::{Int, Tensor, TensorData};
use burn_flex::Flex;
use vesal_bundle::deploy_plan::Activation;
use vesal_kernels::downsample;
use vesal_models::SegmentationNetwork;
use vesal_trainer::algorithms;
use vesal_trainer::fit::optimizer::AdamW;
use vesal_trainer::loss::{Objective, deep_supervision};

use crate::golden::{B, channels_first, gradient, networks, parameters, target, values};
use crate::shared;

/// PyTorch's values, which the golden file states as text.
const RATE: f64 = 2e-4;
const WEIGHT_DECAY: f64 = 1e-5;

/// MONAI's `DiceCELoss(sigmoid=True, batch=True)` of several regions, which uses the cross entropy of a softmax. The
/// trainer's loss treats each region by itself, so that the gradients are compared with this loss instead.
///
/// **Shapes**: logits `[N, X, Y, Z, R]`, regions as bits `[N, X, Y, Z]`.
fn regions_of_a_softmax(outputs: &[Tensor<B, 5>], bits: &Tensor<B, 4, Int>) -> Tensor<B, 1> {
    let losses = outputs.iter().enumerate().map(|(level, logits)| {
        let [n, x, y, z, count] = logits.dims();
        let voxels = n * x * y * z;
        let bits = downsample(bits.clone(), [x, y, z]).reshape([voxels]);
        let masks = (0..count).map(|region| {
            let shifted = bits.clone().div_scalar(1 << region);
            shifted.remainder_scalar(2).float()
        });
        let truth = Tensor::stack::<2>(masks.collect(), 1);
        let logits = logits.clone().reshape([voxels, count]);
        let p = sigmoid(logits.clone());
        let overlap = (p.clone() * truth.clone()).sum_dim(0);
        let sizes = (p.clone() * p + truth.clone()).sum_dim(0);
        let dice = (overlap.mul_scalar(-2.0) / sizes.add_scalar(1e-5)).add_scalar(1.0);
        let entropy = (log_softmax(logits, 1) * truth).sum().neg();
        let loss = dice.mean() + entropy.div_scalar(voxels as f32);
        loss.mul_scalar(0.5f32.powi(level as i32))
    });
    losses.reduce(|sum, loss| sum + loss).unwrap()
}

#[test]
fn golden_training_steps_of_two_dimensional_networks() {
    let Some(folder) = shared::find("golden/algorithms/segresnet2d") else {
        return;
    };
    for mut golden in networks(&folder) {
        let network = golden.network();
        let training = golden.facts["training"].clone();
        let image = golden.array("train_input", "<f4", f32::from_le_bytes);
        let (shape, image) = image.unwrap();
        let image = TensorData::new(image, shape);
        let image = Tensor::<B, 5>::from_data(image, &Default::default()).require_grad();
        let outputs = network.forward_training(image.clone());
        assert_eq!(
            outputs.len(),
            training["logits"].as_array().unwrap().len(),
            "outputs"
        );
        for (level, logits) in outputs.iter().enumerate() {
            let shape: [usize; 5] =
                serde_json::from_value(training["logits"][level]["shape"].clone()).unwrap();
            let [n, x, y, z, classes] = logits.dims();
            assert_eq!([n, classes, x, y, z], shape);
            let found = channels_first(logits.clone());
            golden.assert_close(&format!("train_deep{level}"), &found);
        }
        let after = training["running_statistics_after"].as_object().unwrap();
        let found = parameters(&network);
        let statistics = after
            .iter()
            .filter(|(name, _)| !name.ends_with("num_batches_tracked"));
        assert!(statistics.clone().count() > 0);
        for (name, expected) in statistics {
            let expected: Vec<f32> = serde_json::from_value(expected.clone()).unwrap();
            let (_, found) = &found[name];
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(expected) {
                let difference = (found - expected).abs();
                assert!(difference <= golden.tolerance(), "{name}: {difference}");
            }
        }

        let is_sigmoid = golden.facts["config"]["sigmoid"] == true;
        let truth = golden.array("train_target", "|u1", u8::from_le_bytes);
        let (shape, truth) = truth.unwrap();
        let truth = target(&shape, &truth, is_sigmoid);
        let recipe = algorithms::find("segresnet2d").unwrap().recipe;
        let objective = Objective {
            loss: recipe.loss,
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
        let mut watched = Vec::new();
        for (index, facts) in training["watched"].as_array().unwrap().iter().enumerate() {
            let name = facts["name"].as_str().unwrap();
            let (id, _) = ids[name];
            let found = match facts["shape"].as_array().unwrap().len() {
                1 => gradient::<1>(&gradients, id),
                _ => gradient::<5>(&gradients, id),
            };
            golden.assert_close(&format!("train_grad{index}"), &found);
            watched.push(name);
        }
        let mut optimizer = AdamW::<Flex>::new(recipe.optimizer, WEIGHT_DECAY, None);
        let (network, _) = optimizer.step::<B, _>(RATE, network, gradients, 1.0, false);
        let stepped = parameters(&network);
        for (index, name) in watched.into_iter().enumerate() {
            golden.assert_close(&format!("train_stepped{index}"), &stepped[name].1);
        }
    }
}
