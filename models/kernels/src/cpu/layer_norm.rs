//! Layer normalization and GELU.

use burn::tensor::TensorMetadata;
use burn_flex::{Flex, FlexTensor};
use rayon::prelude::*;

use super::channels::total;
use super::dense;
use super::dispatch::vectorized;
use super::exponential::exponential;
use super::lanes::{LANES, Lanes, Vectorized};
use crate::results::NormGradients;

/// Values per chunk, about: few enough to stay in the first-level cache, and independent of the number of threads.
const CHUNK: usize = 4096;

/// Channels, and values of a chunk of whole rows.
fn division(x: &FlexTensor) -> (usize, usize) {
    let channels = x.shape().iter().last().copied().unwrap_or(1);
    (channels, CHUNK.div_ceil(channels) * channels)
}

pub fn layer_norm(x: FlexTensor, affine: Option<[FlexTensor; 2]>, epsilon: f32) -> FlexTensor {
    let (channels, chunk) = division(&x);
    let x = x.to_contiguous();
    let affine = affine.map(|affine| affine.map(|tensor| tensor.to_contiguous()));
    let affine = affine.as_ref().map(|affine| {
        affine.each_ref().map(|tensor| {
            let values: &[f32] = tensor.storage();
            values
        })
    });
    let values: &[f32] = x.storage();
    let mut output = dense::zeros(values.len());
    output
        .par_chunks_mut(chunk)
        .zip(values.par_chunks(chunk))
        .for_each(|(output, x)| {
            vectorized(Normalize {
                x,
                channels,
                affine,
                epsilon,
                output,
            });
        });
    dense::like(output, &x)
}

pub fn layer_norm_gradient(
    x: FlexTensor,
    weight: Option<FlexTensor>,
    gradient: FlexTensor,
    epsilon: f32,
) -> NormGradients<Flex> {
    let (channels, chunk) = division(&x);
    let [x, gradient] = [x, gradient].map(|tensor| tensor.to_contiguous());
    let weight = weight.map(|weight| weight.to_contiguous());
    let weight: Option<&[f32]> = weight.as_ref().map(|weight| weight.storage());
    let (values, gradient): (&[f32], &[f32]) = (x.storage(), gradient.storage());
    let mut input = dense::zeros(values.len());
    let sums: Vec<Vec<f64>> = input
        .par_chunks_mut(chunk)
        .zip(values.par_chunks(chunk))
        .zip(gradient.par_chunks(chunk))
        .map(|((output, x), gradient)| {
            let mut sums = dense::zeros(2 * channels);
            let (along, total) = sums.split_at_mut(channels);
            vectorized(Gradient {
                x,
                gradient,
                weight,
                epsilon,
                output,
                along,
                total,
            });
            sums.into_iter().map(f64::from).collect()
        })
        .collect();
    let affine = weight.is_some().then(|| {
        let sums = total(&sums, 2 * channels);
        let part = |sums: &[f64]| {
            let sums = sums.iter().map(|sum| *sum as f32).collect();
            dense::tensor(sums, [channels])
        };
        let (along, total) = sums.split_at(channels);
        [part(along), part(total)]
    });
    NormGradients {
        input: dense::like(input, &x),
        affine,
    }
}

/// Sum of a function of pairs.
#[inline(always)]
fn sum(a: &[f32], b: &[f32], of: impl Fn(f32, f32) -> f32) -> f32 {
    let mut sums = [0.0; LANES];
    for (a, b) in a.chunks(LANES).zip(b.chunks(LANES)) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += of(*a, *b);
        }
    }
    sums.into_iter().sum()
}

/// Mean and inverse deviation of a row.
#[inline(always)]
fn statistics(row: &[f32], epsilon: f32) -> [f32; 2] {
    let count = row.len() as f32;
    let mean = sum(row, row, |x, _| x) / count;
    let squares = sum(row, row, |x, _| (x - mean) * (x - mean));
    [mean, (squares / count + epsilon).sqrt().recip()]
}

struct Normalize<'a> {
    x: &'a [f32],
    channels: usize,
    affine: Option<[&'a [f32]; 2]>,
    epsilon: f32,
    output: &'a mut [f32],
}

impl Vectorized for Normalize<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let rows = self.x.chunks_exact(self.channels);
        for (x, output) in rows.zip(self.output.chunks_exact_mut(self.channels)) {
            let [mean, inverse] = statistics(x, self.epsilon);
            for (output, x) in output.iter_mut().zip(x) {
                *output = (x - mean) * inverse;
            }
            if let Some([weight, bias]) = self.affine {
                for ((output, weight), bias) in output.iter_mut().zip(weight).zip(bias) {
                    *output = *output * weight + bias;
                }
            }
        }
    }
}

struct Gradient<'a> {
    x: &'a [f32],
    gradient: &'a [f32],
    weight: Option<&'a [f32]>,
    epsilon: f32,
    output: &'a mut [f32],
    /// Sum of the gradient times the normalized value.
    along: &'a mut [f32],
    /// Sum of the gradient.
    total: &'a mut [f32],
}

impl Vectorized for Gradient<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let channels = self.total.len();
        let count = channels as f32;
        let mut normalized = dense::zeros(channels);
        let mut slopes = dense::zeros(channels);
        let rows = self.x.chunks_exact(channels);
        let rows = rows.zip(self.gradient.chunks_exact(channels));
        for ((x, gradient), output) in rows.zip(self.output.chunks_exact_mut(channels)) {
            let [mean, inverse] = statistics(x, self.epsilon);
            for (normalized, x) in normalized.iter_mut().zip(x) {
                *normalized = (x - mean) * inverse;
            }
            for ((along, normalized), gradient) in
                self.along.iter_mut().zip(&normalized).zip(gradient)
            {
                *along += normalized * gradient;
            }
            for (total, gradient) in self.total.iter_mut().zip(gradient) {
                *total += gradient;
            }
            slopes.copy_from_slice(gradient);
            if let Some(weight) = self.weight {
                for (slope, weight) in slopes.iter_mut().zip(weight) {
                    *slope *= weight;
                }
            }
            let mean = sum(&slopes, &slopes, |slope, _| slope) / count;
            let along = sum(&slopes, &normalized, |slope, x| slope * x) / count;
            for ((output, slope), normalized) in output.iter_mut().zip(&slopes).zip(&normalized) {
                *output = (slope - mean - normalized * along) * inverse;
            }
        }
    }
}

pub fn gelu(x: FlexTensor) -> FlexTensor {
    let x = x.to_contiguous();
    let values: &[f32] = x.storage();
    let mut output = dense::zeros(values.len());
    output
        .par_chunks_mut(CHUNK)
        .zip(values.par_chunks(CHUNK))
        .for_each(|(output, x)| vectorized(Gelu { x, output }));
    dense::like(output, &x)
}

pub fn gelu_gradient(x: FlexTensor, gradient: FlexTensor) -> FlexTensor {
    let [x, gradient] = [x, gradient].map(|tensor| tensor.to_contiguous());
    let (values, gradient): (&[f32], &[f32]) = (x.storage(), gradient.storage());
    let mut output = dense::zeros(values.len());
    output
        .par_chunks_mut(CHUNK)
        .zip(values.par_chunks(CHUNK))
        .zip(gradient.par_chunks(CHUNK))
        .for_each(|((output, x), gradient)| {
            vectorized(GeluGradient {
                x,
                gradient,
                output,
            });
        });
    dense::like(output, &x)
}

/// Share of the standard normal distribution below a value, to 1e-7, and `exp(-x²/2)`.
///
/// **Source**: Abramowitz & Stegun 1964, 7.1.26.
#[inline(always)]
fn below(x: f32) -> (f32, f32) {
    let magnitude = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let power = exponential(-magnitude * magnitude);
    let t = 1.0 / (1.0 + 0.327_591_1 * magnitude);
    let mut series = 1.061_405_4;
    for coefficient in [-1.453_152_1, 1.421_413_8, -0.284_496_72, 0.254_829_6] {
        series = series * t + coefficient;
    }
    let tail = 0.5 * series * t * power;
    (if x < 0.0 { tail } else { 1.0 - tail }, power)
}

struct Gelu<'a> {
    x: &'a [f32],
    output: &'a mut [f32],
}

impl Vectorized for Gelu<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        for (output, x) in self.output.iter_mut().zip(self.x) {
            *output = x * below(*x).0;
        }
    }
}

struct GeluGradient<'a> {
    x: &'a [f32],
    gradient: &'a [f32],
    output: &'a mut [f32],
}

impl Vectorized for GeluGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        /// Density of the standard normal distribution at 0.
        const DENSITY: f32 = 0.398_942_3;
        for ((output, x), gradient) in self.output.iter_mut().zip(self.x).zip(self.gradient) {
            let (below, power) = below(*x);
            *output = gradient * (below + x * DENSITY * power);
        }
    }
}
