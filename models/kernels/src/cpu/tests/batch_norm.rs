use burn::tensor::{Tensor, TensorData};
use burn_flex::{Flex, FlexTensor};

use super::{Differentiable, TOLERANCE, check_gradients, weighted};
use crate::backend_ops::BackendOps;
use crate::batch_norm::BatchNormSettings;
use crate::differentiable_ops::{DifferentiableOps, batch_norm};
use crate::nonlinearity::Nonlinearity;
use crate::testing::{self, Numbers, float, values};

#[test]
fn batch_normalization_equals_double_precision() {
    testing::check_batch_norm::<Flex>(TOLERANCE);
}

/// Four values per channel, -1, -0.5, 0 and 1.5 when normalized; the second channel is constant.
#[test]
fn batch_normalization_equals_numbers_worked_by_hand() {
    let settings = BatchNormSettings {
        epsilon: 0.5,
        momentum: 0.1,
    };
    let vector = |values: [f32; 2]| float::<Flex>(&TensorData::from(values));
    let shape = [2, 1, 2, 1, 2];
    let x = TensorData::new(vec![1.0_f32, 7.0, 2.0, 7.0, 3.0, 7.0, 6.0, 7.0], shape);
    let gradient = TensorData::new(vec![1.0_f32, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0], shape);
    let (weight, bias) = ([2.0, 3.0], [-1.0, 4.0]);
    let compute = |nonlinearity| {
        Flex::batch_norm(
            float::<Flex>(&x),
            vector(weight),
            vector(bias),
            settings.epsilon,
            nonlinearity,
        )
    };
    let close = |what: &str, actual: FlexTensor, expected: &[f32]| {
        testing::assert_close(what, &values::<Flex>(actual), expected, 1e-6);
    };
    let normalized = compute(Nonlinearity::Identity);
    let output = [-3.0, 4.0, -2.0, 4.0, -1.0, 4.0, 2.0, 4.0];
    close("output", normalized.output, &output);
    let rectified = [0.0, 4.0, 0.0, 4.0, 0.0, 4.0, 2.0, 4.0];
    close("rectified", compute(Nonlinearity::Relu).output, &rectified);
    // Mean 3 and sample variance 14 / 3; mean 7 and variance 0.
    let running = [vector([0.0, 0.0]), vector([1.0, 1.0])];
    let statistics = normalized.statistics;
    let [mean, variance] = Flex::update_running(running, statistics.clone(), 4, settings);
    close("running mean", mean, &[0.3, 0.7]);
    close("running variance", variance, &[0.9 + 1.4 / 3.0, 0.9]);
    let running = [vector([3.0, 7.0]), vector([3.5, 0.0])];
    let (w, b) = (vector(weight), vector(bias));
    let inferred = Flex::batch_norm_inference(
        float::<Flex>(&x),
        running,
        w,
        b,
        settings.epsilon,
        Nonlinearity::Identity,
    );
    close("inference", inferred, &output);
    let gradients = Flex::batch_norm_gradient(
        float::<Flex>(&x),
        statistics,
        vector(weight),
        vector(bias),
        float::<Flex>(&gradient),
        Nonlinearity::Identity,
    );
    let [weight_gradient, bias_gradient] = gradients.affine.expect("weight and bias");
    close("weight gradient", weight_gradient, &[0.5, 0.0]);
    close("bias gradient", bias_gradient, &[2.0, 1.0]);
    // (g - mean of g - normalized · mean of g · normalized) · weight / 2 for the first; of the second, weight / √0.5.
    let constant = 3.0 * 2.0_f32.sqrt();
    let [up, down] = [0.75 * constant, -0.25 * constant];
    let input = [0.625, up, -0.4375, down, -0.5, down, 0.3125, down];
    close("input gradient", gradients.input, &input);
}

#[test]
fn batch_normalization_has_the_gradient_of_differences() {
    let shape = [2, 2, 3, 2, 3];
    let settings = BatchNormSettings {
        epsilon: 1e-5,
        momentum: 0.1,
    };
    let mut numbers = Numbers::new(4);
    let x: Vec<f32> = (0..72).map(|_| 3.0 * numbers.float()).collect();
    // Shifts that keep every value off the kink.
    let bias = TensorData::from([5.0_f32, -5.0, 4.0]);
    let data = [TensorData::new(x, shape), numbers.floats([3]), bias];
    for nonlinearity in testing::NONLINEARITIES {
        check_gradients(data.clone(), |[x, weight, bias]| {
            let running = [0.0, 1.0].map(|value| Tensor::full([3], value, &x.device()));
            let x = x.reshape(shape);
            let (output, _) = batch_norm(x, weight, bias, running, settings, nonlinearity);
            weighted(output)
        });
    }
}

/// Only autodiff backends train.
#[test]
fn running_statistics_change_where_there_are_gradients() {
    fn run<B: DifferentiableOps>() -> ([TensorData; 2], TensorData) {
        let device = Default::default();
        let x = Tensor::<B, 1>::from_floats([1.0, 2.0, 3.0, 6.0], &device);
        let [mean, weight, bias] = [2.0, 1.0, 0.0].map(|value| Tensor::full([1], value, &device));
        let variance = Tensor::full([1], 3.5, &device);
        let settings = BatchNormSettings {
            epsilon: 0.5,
            momentum: 0.1,
        };
        let (output, running) = batch_norm(
            x.reshape([1, 1, 4, 1, 1]),
            weight,
            bias,
            [mean, variance],
            settings,
            Nonlinearity::Identity,
        );
        (running.map(Tensor::into_data), output.into_data())
    }
    let close = |actual: TensorData, expected: &[f32]| {
        let actual: Vec<f32> = actual.iter().collect();
        testing::assert_close("batch norm", &actual, expected, 1e-6);
    };
    let ([mean, variance], output) = run::<Differentiable>();
    close(output, &[-1.0, -0.5, 0.0, 1.5]);
    close(mean, &[2.1]);
    close(variance, &[3.15 + 1.4 / 3.0]);
    let ([mean, variance], output) = run::<Flex>();
    close(output, &[-0.5, 0.0, 0.5, 2.0]);
    close(mean, &[2.0]);
    close(variance, &[3.5]);
}
