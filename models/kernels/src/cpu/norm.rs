//! Instance normalization.

use burn_flex::{Flex, FlexTensor};
use rayon::prelude::*;

use super::channels::{Chunks, RowSums};
use super::dense;
use super::dispatch::vectorized;
use super::lanes::{Lanes, Vectorized};
use crate::nonlinearity::Nonlinearity;
use crate::results::Normalized;

pub fn instance_norm(
    x: FlexTensor,
    affine: Option<[FlexTensor; 2]>,
    epsilon: f32,
    nonlinearity: Nonlinearity,
) -> Normalized<Flex> {
    let shape @ [n, .., c] = dense::shape::<5>(&x);
    let chunks = Chunks::of_shape(shape);
    let x = x.to_contiguous();
    let affine = affine.map(|affine| affine.map(|tensor| tensor.to_contiguous()));
    let x: &[f32] = x.storage();
    let statistics = statistics(x, n, chunks, epsilon);
    let affine = AffineParameters::of_cases(&statistics, affine.as_ref(), chunks);
    let output = normalize(x, &affine, chunks, nonlinearity);
    Normalized {
        output: dense::tensor(output, shape),
        statistics: dense::tensor(statistics, [n, 2, c]),
    }
}

/// Normalizes every case by its statistics.
pub fn normalize(
    x: &[f32],
    affine: &[AffineParameters],
    chunks: Chunks,
    nonlinearity: Nonlinearity,
) -> Vec<f32> {
    let mut output = dense::zeros(x.len());
    chunks
        .of(x)
        .into_par_iter()
        .zip(chunks.of_mut(&mut output))
        .for_each(|((case, x), output)| {
            vectorized(Apply {
                x,
                affine: &affine[case],
                slope: nonlinearity.slope(),
                output,
            })
        });
    output
}

/// Mean and `1 / sqrt(var + epsilon)` per case and channel, `[N, 2, C]`.
///
/// Each chunk sums squares about its own mean, which avoids cancellation.
fn statistics(x: &[f32], cases: usize, chunks: Chunks, epsilon: f32) -> Vec<f32> {
    let c = chunks.channels;
    let moments: Vec<[Vec<f64>; 2]> = chunks
        .of(x)
        .into_par_iter()
        .map(|(_, chunk)| {
            let voxels = (chunk.len() / c) as f64;
            let mut sums = vec![0.0; chunks.row()];
            vectorized(RowSums {
                values: chunk,
                sums: &mut sums,
            });
            // Rounded to the precision of the subtraction, so that squares are about exactly this mean.
            let means: Vec<f32> = chunks
                .folded(&sums)
                .iter()
                .map(|sum| (sum / voxels) as f32)
                .collect();
            sums.fill(0.0);
            vectorized(SquareSums {
                values: chunk,
                means: &chunks.repeated(means.iter().copied()),
                sums: &mut sums,
            });
            let means = means.into_iter().map(f64::from).collect();
            [means, chunks.folded(&sums)]
        })
        .collect();
    let mut statistics = vec![0.0; cases * 2 * c];
    let by_case = moments.chunks(chunks.per_case().max(1));
    for (statistics, moments) in statistics.chunks_exact_mut(2 * c).zip(by_case) {
        for channel in 0..c {
            let (mut count, mut mean, mut squares) = (0.0, 0.0, 0.0);
            for (index, [means, more]) in moments.iter().enumerate() {
                let left = chunks.case - index * chunks.chunk();
                let voxels = (left.min(chunks.chunk()) / c) as f64;
                let difference = means[channel] - mean;
                count += voxels;
                mean += difference * voxels / count;
                squares +=
                    more[channel] + difference * difference * voxels * (count - voxels) / count;
            }
            statistics[channel] = mean as f32;
            statistics[c + channel] = (squares / count + f64::from(epsilon)).sqrt().recip() as f32;
        }
    }
    statistics
}

struct SquareSums<'a> {
    values: &'a [f32],
    means: &'a [f32],
    sums: &'a mut [f32],
}

impl Vectorized for SquareSums<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        for row in self.values.chunks(self.sums.len()) {
            for ((sum, value), mean) in self.sums.iter_mut().zip(row).zip(self.means) {
                let centered = value - mean;
                *sum += centered * centered;
            }
        }
    }
}

/// Statistics and weights that normalize a case, repeated to rows.
pub struct AffineParameters {
    pub mean: Vec<f32>,
    pub inverse: Vec<f32>,
    pub weight: Vec<f32>,
    pub bias: Vec<f32>,
}

impl AffineParameters {
    /// For every case, from statistics `[N, 2, C]` and contiguous weight and bias, if there are any.
    pub fn of_cases(
        statistics: &[f32],
        affine: Option<&[FlexTensor; 2]>,
        chunks: Chunks,
    ) -> Vec<Self> {
        let repeated = |values: &[f32]| chunks.repeated(values.iter().copied());
        let [weight, bias] = match affine {
            Some(affine) => affine.each_ref().map(|tensor| repeated(tensor.storage())),
            None => [1.0, 0.0].map(|value| vec![value; chunks.row()]),
        };
        statistics
            .chunks_exact(2 * chunks.channels)
            .map(|statistics| {
                let (mean, inverse) = statistics.split_at(chunks.channels);
                Self {
                    mean: repeated(mean),
                    inverse: repeated(inverse),
                    weight: weight.clone(),
                    bias: bias.clone(),
                }
            })
            .collect()
    }
}

struct Apply<'a> {
    x: &'a [f32],
    affine: &'a AffineParameters,
    slope: f32,
    output: &'a mut [f32],
}

impl Vectorized for Apply<'_> {
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
        for (x, output) in self.x.chunks(row).zip(self.output.chunks_mut(row)) {
            let length = x.len();
            let (mean, inverse) = (&mean[..length], &inverse[..length]);
            let (weight, bias) = (&weight[..length], &bias[..length]);
            let output = &mut output[..length];
            for i in 0..length {
                let y = (x[i] - mean[i]) * inverse[i] * weight[i] + bias[i];
                // NaN is kept, so that it is noticed.
                output[i] = if y < 0.0 { y * slope } else { y };
            }
        }
    }
}
