//! Normalization, loss and optimizer.

use burn::tensor::TensorData;
use burn::tensor::ops::FloatTensor;
use burn_flex::Flex;

use super::{NONLINEARITIES, Numbers, assert_close, float, int, values};
use crate::backend_ops::BackendOps;
use crate::nonlinearity::Nonlinearity;
use crate::optimizer::{AdamWStep, Moments};
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
                let what = |of: &str| format!("{of} of {shape:?} {nonlinearity:?}");
                let actual = B::instance_norm(
                    float::<B>(&x),
                    float::<B>(&weight),
                    float::<B>(&bias),
                    1e-5,
                    nonlinearity,
                );
                let expected = exact_norm(&x, shape, &weight, &bias, nonlinearity);
                let statistics = values::<B>(actual.statistics.clone());
                let output = values::<B>(actual.output);
                assert_close(&what("output"), &output, &expected, 50.0 * tolerance);
                let computed = B::instance_norm_gradient(
                    float::<B>(&x),
                    actual.statistics,
                    float::<B>(&weight),
                    float::<B>(&bias),
                    float::<B>(&gradient),
                    nonlinearity,
                );
                let wanted = reference::instance_norm_gradient::<Flex>(
                    float::<Flex>(&x),
                    float::<Flex>(&TensorData::new(statistics, [shape[0], 2, c])),
                    float::<Flex>(&weight),
                    float::<Flex>(&bias),
                    float::<Flex>(&gradient),
                    nonlinearity,
                );
                let pairs = [
                    ("input gradient", computed.input, wanted.input),
                    ("weight gradient", computed.weight, wanted.weight),
                    ("bias gradient", computed.bias, wanted.bias),
                ];
                for (of, actual, expected) in pairs {
                    let expected = values::<Flex>(expected);
                    assert_close(&what(of), &values::<B>(actual), &expected, 10.0 * tolerance);
                }
            }
        }
    }
}

/// Normalized in double precision.
fn exact_norm(
    x: &TensorData,
    shape: [usize; 5],
    weight: &TensorData,
    bias: &TensorData,
    nonlinearity: Nonlinearity,
) -> Vec<f32> {
    let [x, weight, bias] =
        [x, weight, bias].map(|data| data.iter::<f32>().map(f64::from).collect::<Vec<_>>());
    let c = shape[4];
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

/// The loss and its gradient, on grids as fine as the logits and finer.
pub fn check_dice_ce<B: BackendOps>(tolerance: f32) {
    let cases = [
        ([1, 1, 1, 1], [1, 1, 1], 2),
        ([2, 4, 5, 3], [4, 5, 3], 3),
        ([1, 4, 5, 3], [8, 10, 7], 5),
        ([2, 20, 11, 13], [20, 11, 13], 14),
        ([1, 3, 3, 3], [5, 6, 3], 1),
    ];
    for (shape @ [n, x, y, z], fine, k) in cases {
        let what = |of: &str| format!("{of} of {shape:?} {fine:?} {k}");
        let mut numbers = Numbers::new(k as u64);
        let logits: Vec<f32> = (0..n * x * y * z * k)
            .map(|_| 6.0 * numbers.float())
            .collect();
        let logits = TensorData::new(logits, [n, x, y, z, k]);
        let classes = numbers.classes([n, fine[0], fine[1], fine[2]], k);
        let factor = TensorData::from([0.7_f32]);
        let actual = B::dice_ce(float::<B>(&logits), int::<B>(&classes));
        let expected = reference::dice_ce::<Flex>(float::<Flex>(&logits), int::<Flex>(&classes));
        let sums = expected.sums.clone();
        // The loss of a single class consists of rounding errors.
        let [loss, expected_loss] =
            [values::<B>(actual.loss), values::<Flex>(expected.loss)].map(|loss| [loss[0], 1.0]);
        assert_close(&what("loss"), &loss, &expected_loss, tolerance);
        let (sums_here, expected_sums) = (
            values::<B>(actual.sums.clone()),
            values::<Flex>(expected.sums),
        );
        assert_close(&what("sums"), &sums_here, &expected_sums, tolerance);
        let gradient = B::dice_ce_gradient(
            float::<B>(&logits),
            int::<B>(&classes),
            actual.sums,
            float::<B>(&factor),
        );
        let expected = reference::dice_ce_gradient::<Flex>(
            float::<Flex>(&logits),
            int::<Flex>(&classes),
            sums,
            float::<Flex>(&factor),
        );
        let expected = values::<Flex>(expected);
        assert_close(
            &what("gradient"),
            &values::<B>(gradient),
            &expected,
            tolerance,
        );
    }
}

/// The squared norm of several tensors.
pub fn check_squared_norm<B: BackendOps>(tolerance: f32) {
    let mut numbers = Numbers::new(7);
    let data = [
        numbers.floats([3, 4, 5]),
        numbers.floats([1, 1, 1]),
        numbers.floats([30, 40, 50]),
    ];
    let tensors: Vec<FloatTensor<B>> = data.iter().map(float::<B>).collect();
    let expected: f64 = data
        .iter()
        .flat_map(|data| data.iter::<f32>())
        .map(|x| f64::from(x).powi(2))
        .sum();
    let actual = values::<B>(B::squared_norm(&tensors));
    assert_close("squared norm", &actual, &[expected as f32], tolerance);
    assert_eq!(values::<B>(B::squared_norm(&[])), [0.0]);
    for spoiled in [f32::NAN, f32::INFINITY] {
        let mut tensors = tensors.clone();
        tensors.push(float::<B>(&TensorData::from([1.0, spoiled, 2.0])));
        assert!(!values::<B>(B::squared_norm(&tensors))[0].is_finite());
    }
}

/// The optimizer's step, guarded and not.
pub fn check_adamw<B: BackendOps>(tolerance: f32) {
    let free = AdamWStep {
        rate: 0.01,
        betas: [0.9, 0.999],
        epsilon: 1e-8,
        decay: 0.1,
        time: 3,
        gradient_factor: 0.25,
        max_norm: None,
    };
    let limited = AdamWStep {
        max_norm: Some(0.75),
        ..free
    };
    let mut numbers = Numbers::new(11);
    let data: Vec<[TensorData; 4]> = [[3, 5, 7], [1, 1, 1], [9, 50, 60]]
        .into_iter()
        .map(|shape| {
            let [weights, gradient, first] = [shape; 3].map(|shape| numbers.floats(shape));
            let second: Vec<f32> = gradient.iter::<f32>().map(|g| 0.5 * g * g + 0.01).collect();
            [weights, gradient, first, TensorData::new(second, shape)]
        })
        .collect();
    let steps = [
        (free, None),
        (free, Some(1.0_f32)),
        (free, Some(f32::NAN)),
        (free, Some(f32::INFINITY)),
        // Norms of 0.25 and 4 after the factor.
        (limited, Some(1.0)),
        (limited, Some(256.0)),
        (limited, Some(f32::NAN)),
    ];
    for (step, guard) in steps {
        let what = format!(
            "step guarded by {guard:?} with a limit of {:?}",
            step.max_norm
        );
        let guard = guard.map(|guard| TensorData::from([guard]));
        let shared: Vec<Moments<B>> = data.iter().map(moments::<B>).collect();
        let held: Vec<FloatTensor<B>> = shared.iter().map(|own| own.weights.clone()).collect();
        let actual = B::adamw(shared, step, guard.as_ref().map(float::<B>));
        let expected = reference::adamw::<Flex>(
            data.iter().map(moments::<Flex>).collect(),
            step,
            guard.as_ref().map(float::<Flex>),
        );
        for (actual, expected) in actual
            .into_iter()
            .flatten()
            .zip(expected.into_iter().flatten())
        {
            let expected = values::<Flex>(expected);
            assert_close(&what, &values::<B>(actual), &expected, tolerance);
        }
        for (held, [weights, ..]) in held.into_iter().zip(&data) {
            let before: Vec<f32> = weights.iter::<f32>().collect();
            assert_eq!(values::<B>(held), before, "what others hold has changed");
        }
    }
}

fn moments<B: BackendOps>([weights, gradient, first, second]: &[TensorData; 4]) -> Moments<B> {
    Moments {
        weights: float::<B>(weights),
        gradient: float::<B>(gradient),
        first: float::<B>(first),
        second: float::<B>(second),
    }
}
