//! Instance normalization, and leaky ReLU.

use burn::tensor::TensorData;
use burn_flex::Flex;

use super::{NONLINEARITIES, Numbers, assert_close, assert_gradients_close, float, values};
use crate::backend_ops::BackendOps;
use crate::nonlinearity::Nonlinearity;
use crate::reference;

/// Instance normalization and its gradients.
pub fn check_instance_norm<B: BackendOps>(tolerance: f32) {
    let shapes = [
        [1, 1, 1, 2, 1],
        [2, 3, 4, 5, 8],
        [1, 5, 4, 3, 3],
        [2, 9, 8, 7, 20],
        [1, 2, 3, 4, 300],
        [2, 20, 21, 11, 5],
    ];
    for shape in shapes {
        let c = shape[4];
        let mut numbers = Numbers::new(c as u64);
        let [x, gradient] = [shape, shape].map(|shape| numbers.floats(shape));
        // Far from zero, where squares cancel if summed about it.
        let far: Vec<f32> = x.iter::<f32>().map(|x| x + 100.0).collect();
        let [weight, bias] = [[c], [c]].map(|shape| numbers.floats(shape));
        for x in [x, TensorData::new(far, shape)] {
            for nonlinearity in NONLINEARITIES {
                for affine in [Some([&weight, &bias]), None] {
                    check_norm::<B>(&x, affine, &gradient, nonlinearity, tolerance);
                }
            }
        }
    }
}

fn check_norm<B: BackendOps>(
    x: &TensorData,
    affine: Option<[&TensorData; 2]>,
    gradient: &TensorData,
    nonlinearity: Nonlinearity,
    tolerance: f32,
) {
    let shape: [usize; 5] = x.shape.dims();
    let is_affine = affine.is_some();
    let what = |of: &str| format!("{of} of {shape:?} {nonlinearity:?}, affine: {is_affine}");
    let [n, .., c] = shape;
    let own = affine.map(|affine| affine.map(float::<B>));
    let actual = B::instance_norm(float::<B>(x), own.clone(), 1e-5, nonlinearity);
    let expected = exact_norm(x, shape, affine, nonlinearity);
    let statistics = values::<B>(actual.statistics.clone());
    let output = values::<B>(actual.output);
    assert_close(&what("output"), &output, &expected, 50.0 * tolerance);
    let computed = B::instance_norm_gradient(
        float::<B>(x),
        actual.statistics,
        own,
        float::<B>(gradient),
        nonlinearity,
    );
    let wanted = reference::instance_norm_gradient::<Flex>(
        float::<Flex>(x),
        float::<Flex>(&TensorData::new(statistics, [n, 2, c])),
        affine.map(|affine| affine.map(float::<Flex>)),
        float::<Flex>(gradient),
        nonlinearity,
    );
    assert_gradients_close::<B>(what, computed, wanted, 10.0 * tolerance);
}

/// Normalized in double precision.
fn exact_norm(
    x: &TensorData,
    shape: [usize; 5],
    affine: Option<[&TensorData; 2]>,
    nonlinearity: Nonlinearity,
) -> Vec<f32> {
    let double = |data: &TensorData| data.iter::<f32>().map(f64::from).collect::<Vec<_>>();
    let c = shape[4];
    let x = double(x);
    let [weight, bias] = match affine {
        Some(affine) => affine.map(double),
        None => [1.0, 0.0].map(|value| vec![value; c]),
    };
    let case = x.len() / shape[0];
    let voxels = (case / c) as f64;
    let mut output = vec![0.0; x.len()];
    for (x, output) in x.chunks(case).zip(output.chunks_mut(case)) {
        for channel in 0..c {
            let values = || x[channel..].iter().step_by(c);
            let mean = values().sum::<f64>() / voxels;
            let variance = values().map(|x| (x - mean).powi(2)).sum::<f64>() / voxels;
            for (x, output) in values().zip(output[channel..].iter_mut().step_by(c)) {
                let y = (x - mean) / (variance + 1e-5).sqrt() * weight[channel] + bias[channel];
                *output = match nonlinearity {
                    Nonlinearity::Identity => y as f32,
                    Nonlinearity::Relu => y.max(0.0) as f32,
                    Nonlinearity::LeakyRelu(slope) => y.max(f64::from(slope) * y) as f32,
                };
            }
        }
    }
    output
}

/// Leaky ReLU of a tensor and of a sum, and its gradient.
pub fn check_leaky_relu<B: BackendOps>(tolerance: f32) {
    const SLOPE: f32 = 0.25;
    for shape in [[1, 1, 1, 1, 1], [2, 3, 4, 5, 7], [1, 20, 30, 7, 3]] {
        let mut numbers = Numbers::new(shape.iter().sum::<usize>() as u64);
        let [mut x, addend, gradient] = [shape; 3].map(|shape| numbers.floats(shape));
        x = TensorData::new(
            x.iter::<f32>()
                .enumerate()
                // Zeros too, where the slope below holds.
                .map(|(i, x)| if i % 5 == 4 { 0.0 } else { x })
                .collect(),
            shape,
        );
        for addend in [None, Some(addend)] {
            let what = |of: &str| format!("{of} of {shape:?}, a sum: {}", addend.is_some());
            let plain = match &addend {
                Some(addend) => {
                    let pairs = x.iter::<f32>().zip(addend.iter::<f32>());
                    pairs.map(|(a, b)| a + b).collect()
                }
                None => x.iter::<f32>().collect::<Vec<f32>>(),
            };
            let expected: Vec<f32> = plain.iter().map(|x| x.max(SLOPE * x)).collect();
            let output = B::leaky_relu_sum(float::<B>(&x), addend.as_ref().map(float::<B>), SLOPE);
            let computed = values::<B>(output.clone());
            assert_close(&what("output"), &computed, &expected, tolerance);
            let expected: Vec<f32> = plain
                .iter()
                .zip(gradient.iter::<f32>())
                .map(|(x, gradient)| if *x > 0.0 { gradient } else { SLOPE * gradient })
                .collect();
            let computed = B::leaky_relu_gradient(output, float::<B>(&gradient), SLOPE);
            let computed = values::<B>(computed);
            assert_close(&what("gradient"), &computed, &expected, tolerance);
        }
    }
}
