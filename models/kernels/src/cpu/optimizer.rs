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

/// Updates parameters with their states, `[weights, states ..]`, by their gradients, chunk by chunk; nothing changes where
/// the guard is not finite. `of_chunk` also gets the guard.
pub fn update<const N: usize>(
    parameters: impl Iterator<Item = ([FlexTensor; N], FlexTensor)>,
    guard: Option<FlexTensor>,
    of_chunk: impl Fn([&mut [f32]; N], &[f32], Option<f32>) + Sync,
) -> Vec<[FlexTensor; N]> {
    let squares = guard.and_then(|guard| {
        let guard = guard.to_contiguous();
        guard.storage::<f32>().first().copied()
    });
    let (mut updated, gradients): (Vec<_>, Vec<_>) = parameters.unzip();
    if !squares.is_none_or(f32::is_finite) {
        return updated;
    }
    for tensor in updated.as_flattened_mut() {
        *tensor = tensor.to_contiguous();
    }
    let gradients: Vec<FlexTensor> = gradients.iter().map(FlexTensor::to_contiguous).collect();
    let chunks: Vec<_> = updated
        .iter_mut()
        .zip(&gradients)
        .flat_map(|(tensors, gradient)| {
            let mut own = tensors
                .each_mut()
                .map(|tensor| tensor.storage_mut::<f32>().chunks_mut(CHUNK));
            let gradients = gradient.storage::<f32>().chunks(CHUNK);
            gradients.map(move |gradient| {
                let own = own.each_mut().map(|chunks| chunks.next());
                (own.map(Option::unwrap_or_default), gradient)
            })
        })
        .collect();
    let chunks = chunks.into_par_iter();
    chunks.for_each(|(own, gradient)| of_chunk(own, gradient, squares));
    updated
}

pub fn adamw(
    parameters: Vec<Moments<Flex>>,
    step: AdamWStep,
    guard: Option<FlexTensor>,
) -> Vec<[FlexTensor; 3]> {
    let parameters = parameters.into_iter().map(|parameter| {
        let kept = [parameter.weights, parameter.first, parameter.second];
        (kept, parameter.gradient)
    });
    update(
        parameters,
        guard,
        |[weights, first, second], gradient, squares| {
            vectorized(Update {
                weights,
                gradient,
                first,
                second,
                step,
                factor: step.factor(squares),
            })
        },
    )
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
