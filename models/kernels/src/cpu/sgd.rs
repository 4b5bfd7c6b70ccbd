//! A step of stochastic gradient descent.

use burn_flex::{Flex, FlexTensor};
use rayon::prelude::*;

use super::dispatch::vectorized;
use super::lanes::{Lanes, Vectorized};
use crate::optimizer::{SgdStep, Velocity};

/// Values per chunk.
const CHUNK: usize = 1 << 13;

pub fn sgd(
    parameters: Vec<Velocity<Flex>>,
    step: SgdStep,
    guard: Option<FlexTensor>,
) -> Vec<[FlexTensor; 2]> {
    let squares = guard.and_then(|guard| {
        let guard = guard.to_contiguous();
        guard.storage::<f32>().first().copied()
    });
    let proceed = squares.is_none_or(f32::is_finite);
    let factor = step.factor(squares);
    let (mut updated, gradients): (Vec<[FlexTensor; 2]>, Vec<FlexTensor>) = parameters
        .into_iter()
        .map(|parameter| ([parameter.weights, parameter.velocity], parameter.gradient))
        .unzip();
    if !proceed {
        return updated;
    }
    for tensor in updated.as_flattened_mut() {
        *tensor = tensor.to_contiguous();
    }
    let gradients: Vec<FlexTensor> = gradients.iter().map(FlexTensor::to_contiguous).collect();
    let chunks: Vec<Update> = updated
        .iter_mut()
        .zip(&gradients)
        .flat_map(|(tensors, gradient)| {
            let [weights, velocity] = tensors
                .each_mut()
                .map(|tensor| tensor.storage_mut::<f32>().chunks_mut(CHUNK));
            let values = weights.zip(gradient.storage::<f32>().chunks(CHUNK));
            values
                .zip(velocity)
                .map(|((weights, gradient), velocity)| Update {
                    weights,
                    gradient,
                    velocity,
                    step,
                    factor,
                })
        })
        .collect();
    chunks.into_par_iter().for_each(vectorized);
    updated
}

struct Update<'a> {
    weights: &'a mut [f32],
    gradient: &'a [f32],
    velocity: &'a mut [f32],
    step: SgdStep,
    factor: f32,
}

impl Vectorized for Update<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let SgdStep {
            rate,
            momentum,
            decay,
            ..
        } = self.step;
        let length = self.weights.len();
        let weights = &mut self.weights[..length];
        let gradient = &self.gradient[..length];
        let velocity = &mut self.velocity[..length];
        for i in 0..length {
            let gradient = gradient[i] * self.factor + weights[i] * decay;
            velocity[i] = velocity[i] * momentum + gradient;
            weights[i] -= velocity[i] * rate;
        }
    }
}
