//! A training step of DiNTS compared with MONAI and PyTorch: logits, loss, gradients, and weights after a step of SGD.

use burn::optim::GradientsParams;
use burn::tensor::{Tensor, TensorData};
use burn_flex::Flex;
use vesal_bundle::deploy_plan::Activation;
use vesal_models::SegmentationNetwork;
use vesal_trainer::algorithms;
use vesal_trainer::fit::optimizer::GradientDescent;
use vesal_trainer::loss::{Objective, deep_supervision};

use crate::golden_network::{B, channels_first, gradient, networks, parameters, target, values};

/// PyTorch's values, which the golden file states as text.
const RATE: f64 = 0.2;
const WEIGHT_DECAY: f64 = 4e-5;
const MAX_NORM: f64 = 0.5;
/// Largest difference of a gradient, as a fraction of the largest of its tensor: twelve blocks of normalizations amplify
/// rounding.
const GRADIENT_TOLERANCE: f64 = 0.01;

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
        assert_eq!(outputs.len(), 1);
        golden.assert_close("train_logits", &channels_first(outputs[0].clone()));

        let truth = golden.array("train_target", "|u1", u8::from_le_bytes);
        let (shape, truth) = truth.unwrap();
        let truth = target(&shape, &truth, regions);
        let recipe = algorithms::find("dints").unwrap().recipe;
        let objective = Objective {
            loss: recipe.loss,
            activation: match regions {
                true => Activation::Sigmoid,
                false => Activation::Softmax,
            },
            class_weights: None,
        };
        let loss = deep_supervision(outputs, truth, &objective);
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
        let of_parameter = |name: &str, rank| gradient(&gradients, weights[name].0, rank);
        let mut squares = 0.0;
        for (name, (_, values)) in &weights {
            let rank = ranks[name].as_array().unwrap().len();
            let found = of_parameter(name, rank);
            let is_unused = unused.iter().any(|unused| unused == name);
            assert_eq!(found.is_some(), !is_unused, "gradient of {name}");
            if let Some(gradient) = found {
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
            let rank = facts["shape"].as_array().unwrap().len();
            let found = of_parameter(name, rank).unwrap();
            let allowed = GRADIENT_TOLERANCE * scale(facts);
            close(&format!("train_grad{index}"), &found, allowed);
        }
        let mut optimizer =
            GradientDescent::<Flex>::new(recipe.optimizer, WEIGHT_DECAY, Some(MAX_NORM));
        let (network, _) = optimizer.step::<B, _>(RATE, network, gradients, 1.0, false);
        let stepped = parameters(&network);
        for (index, facts) in watched.iter().enumerate() {
            let name = facts["name"].as_str().unwrap();
            let (_, before) = &weights[name];
            let rounding = f64::from(f32::EPSILON) * largest(before.iter().map(|&w| w.into()));
            let allowed = RATE * factor * GRADIENT_TOLERANCE * scale(facts) + rounding;
            close(&format!("train_stepped{index}"), &stepped[name].1, allowed);
        }
        assert!(!watched.is_empty());
    }
}
