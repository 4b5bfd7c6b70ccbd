//! Batch normalization by running statistics, and their updates.

use burn_flex::FlexTensor;

use super::channels::Chunks;
use super::dense;
use super::norm::{AffineParameters, normalize};
use crate::batch_norm::{BatchNormSettings, bessel_correction};
use crate::nonlinearity::Nonlinearity;

pub fn batch_norm_inference(
    x: FlexTensor,
    running: [FlexTensor; 2],
    weight: FlexTensor,
    bias: FlexTensor,
    epsilon: f32,
    nonlinearity: Nonlinearity,
) -> FlexTensor {
    let shape @ [n, sx, sy, sz, c] = dense::shape::<5>(&x);
    let chunks = Chunks::of_shape([1, n * sx, sy, sz, c]);
    let [mean, variance] = running;
    let [x, mean, variance] = [x, mean, variance].map(|tensor| tensor.to_contiguous());
    let affine = [weight, bias].map(|tensor| tensor.to_contiguous());
    let (mean, variance): (&[f32], &[f32]) = (mean.storage(), variance.storage());
    let inverse = |variance: &f32| {
        let variance = f64::from(*variance) + f64::from(epsilon);
        variance.sqrt().recip() as f32
    };
    let statistics: Vec<f32> = mean
        .iter()
        .copied()
        .chain(variance.iter().map(inverse))
        .collect();
    let affine = AffineParameters::of_cases(&statistics, Some(&affine), chunks);
    let output = normalize(x.storage(), &affine, chunks, nonlinearity);
    dense::tensor(output, shape)
}

pub fn update_running(
    running: [FlexTensor; 2],
    statistics: FlexTensor,
    values: usize,
    settings: BatchNormSettings,
) -> [FlexTensor; 2] {
    let [_, _, c] = dense::shape::<3>(&statistics);
    let statistics = statistics.to_contiguous();
    let (mean, inverse) = statistics.storage::<f32>().split_at(c);
    let [momentum, epsilon, correction] = [
        settings.momentum,
        settings.epsilon,
        bessel_correction(values),
    ]
    .map(f64::from);
    let variance = |inverse: &f32| {
        let variance = f64::from(*inverse).powi(-2) - epsilon;
        // Not `max`, because NaN must be kept.
        let variance = if variance < 0.0 { 0.0 } else { variance };
        variance * correction
    };
    let mix = |running: FlexTensor, batch: Vec<f64>| {
        let running = running.to_contiguous();
        let pairs = running.storage::<f32>().iter().zip(batch);
        let mixed = pairs.map(|(running, batch)| {
            ((1.0 - momentum) * f64::from(*running) + momentum * batch) as f32
        });
        dense::tensor(mixed.collect(), [c])
    };
    let [running_mean, running_variance] = running;
    [
        mix(running_mean, mean.iter().copied().map(f64::from).collect()),
        mix(running_variance, inverse.iter().map(variance).collect()),
    ]
}
