//! The optimizer's step, the norm of its gradients, and numbers for the host.

use burn::tensor::backend::Backend;
use burn::tensor::ops::FloatTensor;
use burn::tensor::{Tensor, TensorMetadata};

use crate::float_tensors::{primitive, tensor};
use crate::optimizer::{AdamWStep, Moments, SgdStep, Velocity};
use crate::results::Scalars;

pub fn squared_norm<B: Backend>(tensors: &[FloatTensor<B>]) -> FloatTensor<B> {
    let sums = tensors.iter().map(|values| {
        let count = values.shape().num_elements();
        let flat = tensor::<B, 1>(B::float_reshape(values.clone(), [count].into()));
        (flat.clone() * flat).sum()
    });
    match sums.reduce(|a, b| a + b) {
        Some(total) => primitive(total),
        None => primitive(Tensor::<B, 1>::zeros([1], &B::Device::default())),
    }
}

pub fn read_scalars<B: Backend>(tensors: Vec<FloatTensor<B>>) -> Scalars {
    let read = |scalar| {
        tensor::<B, 1>(scalar)
            .into_data()
            .iter::<f32>()
            .next()
            .unwrap_or(f32::NAN)
    };
    Scalars::new(move || tensors.into_iter().map(read).collect())
}

pub fn adamw<B: Backend>(
    parameters: Vec<Moments<B>>,
    step: AdamWStep,
    guard: Option<FloatTensor<B>>,
) -> Vec<[FloatTensor<B>; 3]> {
    let squares = guard.and_then(on_host::<B>);
    let proceed = squares.is_none_or(f32::is_finite);
    let factor = step.factor(squares);
    let [first_correction, second_correction] = step.corrections();
    let [beta_1, beta_2] = step.betas;
    let update = |parameter: Moments<B>| {
        if !proceed {
            return [parameter.weights, parameter.first, parameter.second];
        }
        let shape = parameter.weights.shape();
        let flat = |values: FloatTensor<B>| {
            tensor::<B, 1>(B::float_reshape(values, [shape.num_elements()].into()))
        };
        let gradient = flat(parameter.gradient).mul_scalar(factor);
        let first =
            flat(parameter.first).mul_scalar(beta_1) + gradient.clone().mul_scalar(1.0 - beta_1);
        let second = flat(parameter.second).mul_scalar(beta_2)
            + (gradient.clone() * gradient).mul_scalar(1.0 - beta_2);
        let direction = first.clone().mul_scalar(first_correction)
            / second
                .clone()
                .mul_scalar(second_correction)
                .sqrt()
                .add_scalar(step.epsilon);
        let weights = flat(parameter.weights).mul_scalar(1.0 - step.rate * step.decay)
            - direction.mul_scalar(step.rate);
        [weights, first, second].map(|values| B::float_reshape(primitive(values), shape.clone()))
    };
    parameters.into_iter().map(update).collect()
}

pub fn sgd<B: Backend>(
    parameters: Vec<Velocity<B>>,
    step: SgdStep,
    guard: Option<FloatTensor<B>>,
) -> Vec<[FloatTensor<B>; 2]> {
    let squares = guard.and_then(on_host::<B>);
    let proceed = squares.is_none_or(f32::is_finite);
    let factor = step.factor(squares);
    let update = |parameter: Velocity<B>| {
        if !proceed {
            return [parameter.weights, parameter.velocity];
        }
        let shape = parameter.weights.shape();
        let flat = |values: FloatTensor<B>| {
            tensor::<B, 1>(B::float_reshape(values, [shape.num_elements()].into()))
        };
        let weights = flat(parameter.weights);
        let gradient =
            flat(parameter.gradient).mul_scalar(factor) + weights.clone().mul_scalar(step.decay);
        let velocity = flat(parameter.velocity).mul_scalar(step.momentum) + gradient;
        let weights = weights - velocity.clone().mul_scalar(step.rate);
        [weights, velocity].map(|values| B::float_reshape(primitive(values), shape.clone()))
    };
    parameters.into_iter().map(update).collect()
}

/// The value of a guard: without fused kernels, the host decides.
fn on_host<B: Backend>(guard: FloatTensor<B>) -> Option<f32> {
    tensor::<B, 1>(guard).into_data().iter::<f32>().next()
}
