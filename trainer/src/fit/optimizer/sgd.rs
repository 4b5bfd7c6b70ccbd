//! Stochastic gradient descent in Burn's own operations.

use burn::tensor::backend::Backend;
use burn::tensor::ops::FloatTensor;
use burn::tensor::{Tensor, TensorMetadata, TensorPrimitive};

/// Keeps the factor finite for a gradient of norm 0.
const NORM_EPSILON: f32 = 1e-6;

/// Hyperparameters of one step.
///
/// **Definition**: with the gradient `g' = g · gradient_factor` (times `max_norm / (norm + 1e-6)` where that is below 1,
/// `norm` being that of all gradients together) plus `decay · w`, the velocity becomes `b ← momentum · b + g'`, and
/// `w ← w - rate · b`. A velocity of 0 stands for none, before the first step.
///
/// **Source**: PyTorch `SGD` without dampening.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SgdStep {
    pub rate: f32,
    pub momentum: f32,
    pub decay: f32,
    /// Multiplies every gradient: the inverse of a loss scale.
    pub gradient_factor: f32,
    /// Largest norm of all gradients together, the factor above included; needs a guard.
    pub max_norm: Option<f32>,
}

impl SgdStep {
    /// Factor on every gradient, from the sum of the squares of all.
    fn factor(&self, squared_norm: Option<f32>) -> f32 {
        match (self.max_norm, squared_norm) {
            (Some(most), Some(squares)) => {
                let norm = squares.sqrt() * self.gradient_factor;
                self.gradient_factor * (most / (norm + NORM_EPSILON)).min(1.0)
            }
            _ => self.gradient_factor,
        }
    }
}

/// A parameter, its gradient and its velocity; all of one shape, `f32`.
#[derive(Debug)]
pub struct Velocity<B: Backend> {
    pub weights: FloatTensor<B>,
    pub gradient: FloatTensor<B>,
    pub velocity: FloatTensor<B>,
}

/// Updates parameters by one step; with a `guard` `[1]`, the sum of the squared gradients, nothing changes unless it is
/// finite, and the norm can be limited. Returns weights and velocities.
pub fn sgd<B: Backend>(
    parameters: Vec<Velocity<B>>,
    step: SgdStep,
    guard: Option<FloatTensor<B>>,
) -> Vec<[FloatTensor<B>; 2]> {
    let squares = guard.and_then(|guard| flat::<B>(guard).into_data().iter::<f32>().next());
    let proceed = squares.is_none_or(f32::is_finite);
    let factor = step.factor(squares);
    let update = |parameter: Velocity<B>| {
        if !proceed {
            return [parameter.weights, parameter.velocity];
        }
        let shape = parameter.weights.shape();
        let weights = flat::<B>(parameter.weights);
        let gradient = flat::<B>(parameter.gradient).mul_scalar(factor)
            + weights.clone().mul_scalar(step.decay);
        let velocity = flat::<B>(parameter.velocity).mul_scalar(step.momentum) + gradient;
        let weights = weights - velocity.clone().mul_scalar(step.rate);
        [weights, velocity]
            .map(|values| B::float_reshape(values.into_primitive().tensor(), shape.clone()))
    };
    parameters.into_iter().map(update).collect()
}

fn flat<B: Backend>(values: FloatTensor<B>) -> Tensor<B, 1> {
    let count = values.shape().num_elements();
    Tensor::from_primitive(TensorPrimitive::Float(B::float_reshape(
        values,
        [count].into(),
    )))
}
