//! Batch normalization.

use burn::tensor::TensorData;
use burn_flex::Flex;

use super::{NONLINEARITIES, Numbers, assert_close, assert_gradients_close, float, values};
use crate::backend_ops::BackendOps;
use crate::batch_norm::BatchNormSettings;
use crate::nonlinearity::Nonlinearity;
use crate::reference;

const SETTINGS: BatchNormSettings = BatchNormSettings {
    epsilon: 1e-5,
    momentum: 0.1,
};

/// Batch normalization, its gradients, running statistics, and normalization by these.
pub fn check_batch_norm<B: BackendOps>(tolerance: f32) {
    let shapes = [
        [2, 1, 1, 2, 1],
        [2, 3, 4, 5, 8],
        [1, 5, 4, 3, 3],
        [3, 9, 8, 7, 20],
        [2, 2, 3, 4, 300],
        [2, 20, 21, 11, 5],
    ];
    for shape in shapes {
        for nonlinearity in NONLINEARITIES {
            for offset in [0.0, 100.0] {
                check_shape::<B>(shape, nonlinearity, offset, tolerance);
            }
        }
    }
}

/// Values lie around `offset`: far from zero, squares cancel if summed about it.
fn check_shape<B: BackendOps>(
    shape: [usize; 5],
    nonlinearity: Nonlinearity,
    offset: f32,
    tolerance: f32,
) {
    let what = |of: &str| format!("{of} of {shape:?} {nonlinearity:?} around {offset}");
    let [n, sx, sy, sz, c] = shape;
    let mut numbers = Numbers::new(c as u64);
    let [x, gradient] = [shape, shape].map(|shape| numbers.floats(shape));
    let x: Vec<f32> = x.iter::<f32>().map(|x| x + offset).collect();
    let x = TensorData::new(x, shape);
    let [weight, bias, old_mean] = [[c]; 3].map(|shape| numbers.floats(shape));
    let old_variance: Vec<f32> = (0..c).map(|_| numbers.float() + 1.5).collect();
    let old_variance = TensorData::new(old_variance, [c]);
    let exact = Exact::of(&x, c);

    let actual = B::batch_norm(
        float::<B>(&x),
        float::<B>(&weight),
        float::<B>(&bias),
        SETTINGS.epsilon,
        nonlinearity,
    );
    let expected = exact.normalized(&x, &weight, &bias, nonlinearity);
    let output = values::<B>(actual.output);
    assert_close(&what("output"), &output, &expected, 50.0 * tolerance);

    let running = [&old_mean, &old_variance].map(float::<B>);
    let count = n * sx * sy * sz;
    let statistics = actual.statistics.clone();
    let [mean, variance] = B::update_running(running, statistics, count, SETTINGS).map(values::<B>);
    let expected = Exact::updated(&old_mean, &exact.mean, 1.0);
    assert_close(&what("running mean"), &mean, &expected, tolerance);
    let sample = count as f64 / (count as f64 - 1.0);
    let expected = Exact::updated(&old_variance, &exact.variance, sample);
    assert_close(&what("running variance"), &variance, &expected, tolerance);

    let kept = TensorData::new(values::<B>(actual.statistics.clone()), [1, 2, c]);
    let computed = B::batch_norm_gradient(
        float::<B>(&x),
        actual.statistics,
        float::<B>(&weight),
        float::<B>(&bias),
        float::<B>(&gradient),
        nonlinearity,
    );
    let one_case = |data: &TensorData| {
        let values: Vec<f32> = data.iter::<f32>().collect();
        float::<Flex>(&TensorData::new(values, [1, n * sx, sy, sz, c]))
    };
    let wanted = reference::instance_norm_gradient::<Flex>(
        one_case(&x),
        float::<Flex>(&kept),
        Some([&weight, &bias].map(float::<Flex>)),
        one_case(&gradient),
        nonlinearity,
    );
    assert_gradients_close::<B>(what, computed, wanted, 10.0 * tolerance);

    let single = |values: &[f64]| {
        let values: Vec<f32> = values.iter().map(|value| *value as f32).collect();
        TensorData::new(values, [c])
    };
    let (mean, variance) = (single(&exact.mean), single(&exact.variance));
    let inference = |running, x: &TensorData| {
        let (weight, bias) = (float::<B>(&weight), float::<B>(&bias));
        let output = B::batch_norm_inference(
            float::<B>(x),
            running,
            weight,
            bias,
            SETTINGS.epsilon,
            nonlinearity,
        );
        values::<B>(output)
    };
    let output = inference([&mean, &variance].map(float::<B>), &x);
    let expected = exact.normalized(&x, &weight, &bias, nonlinearity);
    assert_close(&what("inference"), &output, &expected, 50.0 * tolerance);
}

/// Statistics in double precision.
struct Exact {
    mean: Vec<f64>,
    /// Population variance (biased).
    variance: Vec<f64>,
}

impl Exact {
    fn of(x: &TensorData, c: usize) -> Self {
        let x: Vec<f64> = x.iter::<f32>().map(f64::from).collect();
        let count = (x.len() / c) as f64;
        let channel = |channel: usize| x[channel..].iter().step_by(c);
        let mean: Vec<f64> = (0..c).map(|at| channel(at).sum::<f64>() / count).collect();
        let variance = (0..c)
            .map(|at| channel(at).map(|x| (x - mean[at]).powi(2)).sum::<f64>() / count)
            .collect();
        Self { mean, variance }
    }

    fn normalized(
        &self,
        x: &TensorData,
        weight: &TensorData,
        bias: &TensorData,
        nonlinearity: Nonlinearity,
    ) -> Vec<f32> {
        let [weight, bias]: [Vec<f32>; 2] = [weight, bias].map(|data| data.iter().collect());
        let c = weight.len();
        let normalized = x.iter::<f32>().enumerate().map(|(index, x)| {
            let channel = index % c;
            let deviation = (self.variance[channel] + f64::from(SETTINGS.epsilon)).sqrt();
            let y = (f64::from(x) - self.mean[channel]) / deviation;
            let y = y * f64::from(weight[channel]) + f64::from(bias[channel]);
            match nonlinearity {
                Nonlinearity::Identity => y as f32,
                Nonlinearity::Relu => y.max(0.0) as f32,
                Nonlinearity::LeakyRelu(slope) => y.max(f64::from(slope) * y) as f32,
            }
        });
        normalized.collect()
    }

    fn updated(running: &TensorData, batch: &[f64], factor: f64) -> Vec<f32> {
        let momentum = f64::from(SETTINGS.momentum);
        let pairs = running.iter::<f32>().zip(batch);
        pairs
            .map(|(running, batch)| {
                ((1.0 - momentum) * f64::from(running) + momentum * batch * factor) as f32
            })
            .collect()
    }
}
