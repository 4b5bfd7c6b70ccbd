//! Batch normalization, which is instance normalization of all cases as one.

use burn::tensor::DType;
use vesal_kernels::cuda::Cuda;
use vesal_kernels::{BackendOps, BatchNormSettings, Nonlinearity};

use super::truth::{self, Array};
use super::{Checks, Strides, primitive};

const EPSILON: f64 = 1e-5;
const MOMENTUM: f64 = 0.1;

/// Activations of all cases merged into one.
fn joined(array: &Array) -> Array {
    let [n, x, y, z, c] = std::array::from_fn(|axis| array.shape[axis]);
    Array {
        shape: vec![1, n * x, y, z, c],
        values: array.values.clone(),
    }
}

fn of_shape(array: Array, shape: &[usize]) -> Array {
    Array {
        shape: shape.to_vec(),
        ..array
    }
}

/// Running mean and variance after a batch, from its statistics `[1, 2, C]`.
fn updated(running: [&Array; 2], statistics: &Array, count: usize) -> [Array; 2] {
    let [mean, variance] = running;
    let c = mean.values.len();
    let correction = count as f64 / count.saturating_sub(1).max(1) as f64;
    let (batch, inverse) = statistics.values.split_at(c);
    let sample = |inverse: &f64| (inverse.powi(-2) - EPSILON).max(0.0) * correction;
    let mix = |running: &Array, batch: Vec<f64>| {
        let pairs = running.values.iter().zip(batch);
        let values = pairs.map(|(running, batch)| (1.0 - MOMENTUM) * running + MOMENTUM * batch);
        Array {
            shape: vec![c],
            values: values.collect(),
        }
    };
    [
        mix(mean, batch.to_vec()),
        mix(variance, inverse.iter().map(sample).collect()),
    ]
}

impl Checks {
    pub fn batch_normalization(
        &mut self,
        shape: [usize; 5],
        dtype: DType,
        strides: Strides,
        nonlinearity: Nonlinearity,
    ) {
        let name = format!("{shape:?}, {dtype:?}, {strides:?}, {nonlinearity:?}");
        let [n, sx, sy, sz, c] = shape;
        let mut x = Array::random(&shape, 1);
        // Away from zero, so that cancellation would show.
        for (index, value) in x.values.iter_mut().enumerate() {
            *value += (index % c % 4) as f64;
        }
        let gradient = Array::random(&shape, 2);
        let [weight, bias, mean] = [3, 4, 5].map(|seed| Array::random(&[c], seed));
        let mut variance = Array::random(&[c], 6);
        variance.values.iter_mut().for_each(|value| *value += 1.5);
        let to_x = self.activations(&x, dtype, strides);
        let to_gradient = self.activations(&gradient, dtype, strides);
        let [w, b, m, v] =
            [&weight, &bias, &mean, &variance].map(|array| primitive(self.tensor::<1>(array)));
        let tolerance = if dtype == DType::F32 { 1e-4 } else { 2e-3 };
        let settings = BatchNormSettings {
            epsilon: EPSILON as f32,
            momentum: MOMENTUM as f32,
        };

        let [y, kept] = truth::instance_norm(&joined(&x), &weight, &bias, EPSILON, nonlinearity);
        let computed = Cuda::batch_norm(
            to_x.clone(),
            w.clone(),
            b.clone(),
            settings.epsilon,
            nonlinearity,
        );
        let y = of_shape(y, &shape);
        self.compare(
            &format!("batch norm {name}"),
            computed.output,
            &y,
            tolerance,
        );
        let statistics = computed.statistics;
        self.compare("  statistics", statistics.clone(), &kept, 1e-5);

        let count = n * sx * sy * sz;
        let running = [m.clone(), v.clone()];
        let [new_mean, new_variance] =
            Cuda::update_running(running, statistics.clone(), count, settings);
        let [true_mean, true_variance] = updated([&mean, &variance], &kept, count);
        self.compare("  running mean", new_mean, &true_mean, 1e-5);
        self.compare("  running variance", new_variance, &true_variance, 1e-5);

        let statistics_of_running = Array {
            shape: vec![1, 2, c],
            values: mean
                .values
                .iter()
                .copied()
                .chain(variance.values.iter().map(|v| (v + EPSILON).sqrt().recip()))
                .collect(),
        };
        let y = truth::normalized(
            &joined(&x),
            &statistics_of_running,
            &weight,
            &bias,
            nonlinearity,
        );
        let y = of_shape(y, &shape);
        let computed = Cuda::batch_norm_inference(
            to_x.clone(),
            [m, v],
            w.clone(),
            b.clone(),
            settings.epsilon,
            nonlinearity,
        );
        self.compare("  inference", computed, &y, tolerance);

        let [input, to_weight, to_bias] = truth::instance_norm_gradient(
            &joined(&x),
            &kept,
            &weight,
            &bias,
            &joined(&gradient),
            nonlinearity,
        );
        let computed = Cuda::batch_norm_gradient(to_x, statistics, w, b, to_gradient, nonlinearity);
        let input = of_shape(input, &shape);
        self.compare("  input", computed.input, &input, tolerance);
        let [weight, bias] = computed.affine.expect("weight and bias were given");
        self.compare("  weight", weight, &to_weight, 1e-3);
        self.compare("  bias", bias, &to_bias, 1e-3);
    }
}
