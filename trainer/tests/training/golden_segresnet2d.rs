//! A training step of two-dimensional networks compared with MONAI and PyTorch: outputs with deep supervision,
//! gradients, optimizer and running statistics.

use burn::optim::GradientsParams;
use burn::tensor::{Tensor, TensorData};
use burn_flex::Flex;
use vesal_bundle::deploy_plan::Activation;
use vesal_models::SegmentationNetwork;
use vesal_trainer::algorithms;
use vesal_trainer::fit::optimizer::GradientDescent;
use vesal_trainer::loss::{Objective, deep_supervision};

use crate::golden_network::{
    B, channels_first, gradient, networks, parameters, regions_of_a_softmax, target, values,
};

/// PyTorch's values, which the golden file states as text.
const RATE: f64 = 2e-4;
const WEIGHT_DECAY: f64 = 1e-5;

#[test]
fn golden_training_steps_of_two_dimensional_networks() {
    for mut golden in networks("segresnet2d") {
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
            let rank = facts["shape"].as_array().unwrap().len();
            let found = gradient(&gradients, id, rank).unwrap();
            golden.assert_close(&format!("train_grad{index}"), &found);
            watched.push(name);
        }
        let mut optimizer = GradientDescent::<Flex>::new(recipe.optimizer, WEIGHT_DECAY, None);
        let (network, _) = optimizer.step::<B, _>(RATE, network, gradients, 1.0, false);
        let stepped = parameters(&network);
        for (index, name) in watched.into_iter().enumerate() {
            golden.assert_close(&format!("train_stepped{index}"), &stepped[name].1);
        }
    }
}
