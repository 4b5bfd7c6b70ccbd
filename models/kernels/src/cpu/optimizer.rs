//! The optimizer's step and the norm that guards it.

use burn_flex::{Flex, FlexTensor};
use rayon::prelude::*;

use super::dense;
use super::dispatch::vectorized;
use super::lanes::{LANES, Lanes, Vectorized};
use crate::optimizer::{AdamWStep, Moments};

/// Values per chunk.
const CHUNK: usize = 1 << 13;

pub fn squared_norm(tensors: &[FlexTensor]) -> FlexTensor {
    let tensors: Vec<FlexTensor> = tensors.iter().map(FlexTensor::to_contiguous).collect();
    let chunks: Vec<&[f32]> = tensors
        .iter()
        .flat_map(|tensor| tensor.storage::<f32>().chunks(CHUNK))
        .collect();
    let partial: Vec<f64> = chunks
        .into_par_iter()
        .map(|values| vectorized(Squares { values }))
        .collect();
    dense::tensor(vec![partial.iter().sum::<f64>() as f32], [1])
}

pub fn adamw(
    parameters: Vec<Moments<Flex>>,
    step: AdamWStep,
    guard: Option<FlexTensor>,
) -> Vec<[FlexTensor; 3]> {
    let squares = guard.and_then(|guard| {
        let guard = guard.to_contiguous();
        guard.storage::<f32>().first().copied()
    });
    let proceed = squares.is_none_or(f32::is_finite);
    let factor = step.factor(squares);
    let (mut updated, gradients): (Vec<[FlexTensor; 3]>, Vec<FlexTensor>) = parameters
        .into_iter()
        .map(|parameter| {
            let kept = [parameter.weights, parameter.first, parameter.second];
            (kept, parameter.gradient)
        })
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
            let [weights, first, second] = tensors
                .each_mut()
                .map(|tensor| tensor.storage_mut::<f32>().chunks_mut(CHUNK));
            let moments = first.zip(second);
            let values = weights.zip(gradient.storage::<f32>().chunks(CHUNK));
            values
                .zip(moments)
                .map(|((weights, gradient), (first, second))| Update {
                    weights,
                    gradient,
                    first,
                    second,
                    step,
                    factor,
                })
        })
        .collect();
    chunks.into_par_iter().for_each(vectorized);
    updated
}

struct Squares<'a> {
    values: &'a [f32],
}

impl Vectorized for Squares<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<L: Lanes>(self) -> f64 {
        let (vectors, rest) = self.values.as_chunks::<{ 4 * LANES }>();
        let mut sums = [0.0_f32; 4 * LANES];
        for values in vectors {
            for lane in 0..4 * LANES {
                sums[lane] += values[lane] * values[lane];
            }
        }
        let square = |value: &f32| f64::from(*value) * f64::from(*value);
        sums.iter().map(|sum| f64::from(*sum)).sum::<f64>() + rest.iter().map(square).sum::<f64>()
    }
}

struct Update<'a> {
    weights: &'a mut [f32],
    gradient: &'a [f32],
    first: &'a mut [f32],
    second: &'a mut [f32],
    step: AdamWStep,
    factor: f32,
}

impl Vectorized for Update<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let AdamWStep {
            rate,
            betas: [beta_1, beta_2],
            epsilon,
            decay,
            ..
        } = self.step;
        let [first_correction, second_correction] = self.step.corrections();
        let kept = 1.0 - rate * decay;
        let length = self.weights.len();
        let weights = &mut self.weights[..length];
        let gradient = &self.gradient[..length];
        let (first, second) = (&mut self.first[..length], &mut self.second[..length]);
        for i in 0..length {
            let gradient = gradient[i] * self.factor;
            first[i] = first[i] * beta_1 + gradient * (1.0 - beta_1);
            second[i] = second[i] * beta_2 + gradient * gradient * (1.0 - beta_2);
            let direction =
                first[i] * first_correction / ((second[i] * second_correction).sqrt() + epsilon);
            weights[i] = weights[i] * kept - direction * rate;
        }
    }
}
