//! Gradients of instance normalization.

use burn_flex::{Flex, FlexTensor};
use rayon::prelude::*;

use super::channels::{Chunks, total};
use super::dense;
use super::dispatch::vectorized;
use super::lanes::{Lanes, Vectorized};
use super::norm::AffineParameters;
use crate::nonlinearity::Nonlinearity;
use crate::results::NormGradients;

pub fn instance_norm_gradient(
    x: FlexTensor,
    statistics: FlexTensor,
    affine: Option<[FlexTensor; 2]>,
    gradient: FlexTensor,
    nonlinearity: Nonlinearity,
) -> NormGradients<Flex> {
    let shape @ [.., c] = dense::shape::<5>(&x);
    let chunks = Chunks::of_shape(shape);
    let voxels = chunks.case / c;
    let [x, statistics, gradient] = [x, statistics, gradient].map(|tensor| tensor.to_contiguous());
    let learned = affine.map(|affine| affine.map(|tensor| tensor.to_contiguous()));
    let (x, gradient): (&[f32], &[f32]) = (x.storage(), gradient.storage());
    let slope = nonlinearity.slope();
    let affine = AffineParameters::of_cases(statistics.storage(), learned.as_ref(), chunks);
    let partial: Vec<Vec<f64>> = chunks
        .of(x)
        .into_par_iter()
        .zip(chunks.of(gradient))
        .map(|((case, x), (_, gradient))| {
            let mut sums = [vec![0.0; chunks.row()], vec![0.0; chunks.row()]];
            let [total, along] = &mut sums;
            vectorized(GradientSums {
                x,
                gradient,
                affine: &affine[case],
                slope,
                total,
                along,
            });
            sums.iter().flat_map(|sums| chunks.folded(sums)).collect()
        })
        .collect();
    let by_case: Vec<Vec<f64>> = partial
        .chunks(chunks.per_case().max(1))
        .map(|partial| total(partial, 2 * c))
        .collect();
    let means: Vec<[Vec<f32>; 2]> = by_case
        .iter()
        .map(|sums| {
            let mean = |sum: &f64| (sum / voxels as f64) as f32;
            [
                chunks.repeated(sums[..c].iter().map(mean)),
                chunks.repeated(sums[c..].iter().map(mean)),
            ]
        })
        .collect();
    let mut input = dense::zeros(x.len());
    chunks
        .of(x)
        .into_par_iter()
        .zip(chunks.of(gradient))
        .zip(chunks.of_mut(&mut input))
        .for_each(|(((case, x), (_, gradient)), output)| {
            let [total, along] = &means[case];
            vectorized(InputGradient {
                x,
                gradient,
                affine: &affine[case],
                slope,
                total,
                along,
                output,
            })
        });
    let sums: Vec<f32> = total(&by_case, 2 * c)
        .iter()
        .map(|sum| *sum as f32)
        .collect();
    NormGradients {
        input: dense::tensor(input, shape),
        affine: learned
            .map(|_| [&sums[c..], &sums[..c]].map(|sums| dense::tensor(sums.to_vec(), [c]))),
    }
}

struct GradientSums<'a> {
    x: &'a [f32],
    gradient: &'a [f32],
    affine: &'a AffineParameters,
    slope: f32,
    total: &'a mut [f32],
    along: &'a mut [f32],
}

impl Vectorized for GradientSums<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let AffineParameters {
            mean,
            inverse,
            weight,
            bias,
        } = self.affine;
        let row = mean.len();
        let slope = self.slope;
        for (x, gradient) in self.x.chunks(row).zip(self.gradient.chunks(row)) {
            let length = x.len();
            let (mean, inverse) = (&mean[..length], &inverse[..length]);
            let (weight, bias) = (&weight[..length], &bias[..length]);
            let gradient = &gradient[..length];
            let (total, along) = (&mut self.total[..length], &mut self.along[..length]);
            for i in 0..length {
                let normalized = (x[i] - mean[i]) * inverse[i];
                let below = normalized * weight[i] + bias[i] <= 0.0;
                let gradient = if below {
                    gradient[i] * slope
                } else {
                    gradient[i]
                };
                total[i] += gradient;
                along[i] += gradient * normalized;
            }
        }
    }
}

struct InputGradient<'a> {
    x: &'a [f32],
    gradient: &'a [f32],
    affine: &'a AffineParameters,
    slope: f32,
    /// Mean of the gradient.
    total: &'a [f32],
    /// Mean of the gradient times the normalized input.
    along: &'a [f32],
    output: &'a mut [f32],
}

impl Vectorized for InputGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let AffineParameters {
            mean,
            inverse,
            weight,
            bias,
        } = self.affine;
        let row = mean.len();
        let slope = self.slope;
        let rows = self.x.chunks(row).zip(self.gradient.chunks(row));
        for ((x, gradient), output) in rows.zip(self.output.chunks_mut(row)) {
            let length = x.len();
            let (mean, inverse) = (&mean[..length], &inverse[..length]);
            let (weight, bias) = (&weight[..length], &bias[..length]);
            let (total, along) = (&self.total[..length], &self.along[..length]);
            let (gradient, output) = (&gradient[..length], &mut output[..length]);
            for i in 0..length {
                let normalized = (x[i] - mean[i]) * inverse[i];
                let below = normalized * weight[i] + bias[i] <= 0.0;
                let gradient = if below {
                    gradient[i] * slope
                } else {
                    gradient[i]
                };
                let centered = gradient - (total[i] + normalized * along[i]);
                output[i] = centered * (inverse[i] * weight[i]);
            }
        }
    }
}
