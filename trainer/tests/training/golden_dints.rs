//! A training step of DiNTS compared with MONAI and PyTorch: logits, loss, gradients, and weights after a step of SGD.

use burn::optim::GradientsParams;
use burn::tensor::activation::{log_sigmoid, sigmoid, softmax};
use burn::tensor::{Tensor, TensorData};
use burn_flex::Flex;
use vesal_models::SegmentationNetwork;

use crate::golden_network::{B, channels_first, gradient, networks, parameters, values};

/// PyTorch's values, which the golden file states as text.
const RATE: f64 = 0.2;
const WEIGHT_DECAY: f64 = 4e-5;
const MAX_NORM: f64 = 0.5;
/// Largest difference of a gradient, as a fraction of the largest of its tensor: twelve blocks of normalizations amplify
/// rounding.
const GRADIENT_TOLERANCE: f64 = 0.01;

/// MONAI's `DiceFocalLoss(squared_pred=True, batch=True, smooth_nr=1e-5, smooth_dr=1e-5)`.
///
/// **Shapes**: logits and truth `[N, X, Y, Z, K]`.
fn dice_focal(logits: Tensor<B, 5>, truth: Tensor<B, 5>, regions: bool) -> Tensor<B, 1> {
    let [n, x, y, z, count] = logits.dims();
    let flat = [n * x * y * z, count];
    let (logits, truth) = (logits.reshape(flat), truth.reshape(flat));
    let p = match regions {
        true => sigmoid(logits.clone()),
        false => softmax(logits.clone(), 1),
    };
    let overlap = (p.clone() * truth.clone()).sum_dim(0);
    let sizes = (p.clone() * p).sum_dim(0) + truth.clone().sum_dim(0);
    let dice = overlap.mul_scalar(2.0).add_scalar(1e-5) / sizes.add_scalar(1e-5);
    // Of the sign that is positive where the truth is.
    let towards = logits * truth.mul_scalar(2.0).sub_scalar(1.0);
    let missed = sigmoid(towards.clone().neg());
    let focal = missed.clone() * missed * log_sigmoid(towards).neg();
    dice.neg().add_scalar(1.0).mean() + focal.mean()
}

/// Class indices `[N, 1, X, Y, Z]` or masks `[N, K, X, Y, Z]` as masks `[N, X, Y, Z, K]`.
fn masks(shape: &[usize], target: &[u8], classes: usize, regions: bool) -> Tensor<B, 5> {
    let [n, channels, x, y, z] = shape.try_into().unwrap();
    let voxels: usize = x * y * z;
    let value = |case: usize, voxel: usize, class: usize| {
        let channel = if regions { class } else { 0 };
        let found = target[(case * channels + channel) * voxels + voxel];
        f32::from(u8::from(if regions {
            found != 0
        } else {
            usize::from(found) == class
        }))
    };
    let cases = (0..n).flat_map(|case| (0..voxels).map(move |voxel| (case, voxel)));
    let values: Vec<f32> = cases
        .flat_map(|(case, voxel)| (0..classes).map(move |class| value(case, voxel, class)))
        .collect();
    Tensor::from_data(
        TensorData::new(values, [n, x, y, z, classes]),
        &Default::default(),
    )
}

fn largest(values: impl IntoIterator<Item = f64>) -> f64 {
    values
        .into_iter()
        .fold(0.0, |most, value| most.max(value.abs()))
}

#[test]
fn golden_training_steps_of_dints() {
    for mut golden in networks("dints") {
        let network = golden.network();
        let training = golden.facts["training"].clone();
        let ranks = golden.facts["state_dict"].clone();
        let regions = golden.facts["activation"] == "sigmoid";
        let image = golden.array("train_input", "<f4", f32::from_le_bytes);
        let (shape, image) = image.unwrap();
        let image = TensorData::new(image, shape);
        let image = Tensor::<B, 5>::from_data(image, &Default::default()).require_grad();
        let outputs = network.forward_training(image.clone());
        let [logits] = <[_; 1]>::try_from(outputs).unwrap();
        golden.assert_close("train_logits", &channels_first(logits.clone()));

        let truth = golden.array("train_target", "|u1", u8::from_le_bytes);
        let (shape, truth) = truth.unwrap();
        let [.., classes] = logits.dims();
        let truth = masks(&shape, &truth, classes, regions);
        let loss = dice_focal(logits, truth, regions);
        let found = f64::from(loss.clone().into_scalar());
        let expected = training["loss"].as_f64().unwrap();
        assert!(
            (found - expected).abs() <= 1e-4,
            "loss {found}, expected {expected}"
        );

        let gradients = loss.backward();
        let of_image = values(image.grad(&gradients).unwrap());
        let mut close = |name: &str, found: &[f32], allowed: f64| {
            for (place, expected) in golden.stored(name) {
                let difference = f64::from((found[place] - expected).abs());
                assert!(
                    difference <= allowed,
                    "{name}[{place}] is {}, expected {expected} within {allowed:e}",
                    found[place]
                );
            }
        };
        let scale = |facts: &serde_json::Value| facts["max"].as_f64().unwrap();
        let allowed = GRADIENT_TOLERANCE * scale(&training["grad_input"]);
        close("train_grad_input", &of_image, allowed);

        let gradients = GradientsParams::from_grads(gradients, &network);
        let weights = parameters(&network);
        let unused = training["without_gradient"].as_array().unwrap();
        let of_parameter = |name: &str, rank: usize| match rank {
            1 => gradient::<1>(&gradients, weights[name].0),
            _ => gradient::<5>(&gradients, weights[name].0),
        };
        let mut squares = 0.0;
        for (name, (id, values)) in &weights {
            let rank = ranks[name].as_array().unwrap().len();
            let exists = match rank {
                1 => gradients.get::<Flex, 1>(*id).is_some(),
                _ => gradients.get::<Flex, 5>(*id).is_some(),
            };
            let is_unused = unused.iter().any(|unused| unused == name);
            assert_eq!(exists, !is_unused, "gradient of {name}");
            if exists {
                let gradient = of_parameter(name, rank);
                assert_eq!(gradient.len(), values.len());
                squares += gradient.iter().map(|&g| f64::from(g).powi(2)).sum::<f64>();
            }
        }
        let norm = training["grad_norm"].as_f64().unwrap();
        assert!((squares.sqrt() - norm).abs() <= GRADIENT_TOLERANCE * norm);

        let factor = (MAX_NORM / (norm + 1e-6)).min(1.0);
        let watched = training["watched"].as_array().unwrap();
        for (index, facts) in watched.iter().enumerate() {
            let name = facts["name"].as_str().unwrap();
            let found = of_parameter(name, facts["shape"].as_array().unwrap().len());
            let allowed = GRADIENT_TOLERANCE * scale(facts);
            close(&format!("train_grad{index}"), &found, allowed);
            let (_, before) = &weights[name];
            let stepped: Vec<f32> = before
                .iter()
                .zip(&found)
                .map(|(&weight, &gradient)| {
                    let slope = factor * f64::from(gradient) + WEIGHT_DECAY * f64::from(weight);
                    (f64::from(weight) - RATE * slope) as f32
                })
                .collect();
            let rounding = f64::from(f32::EPSILON) * largest(before.iter().map(|&w| w.into()));
            let allowed = RATE * factor * allowed + rounding;
            close(&format!("train_stepped{index}"), &stepped, allowed);
        }
        assert!(!watched.is_empty());
    }
}
