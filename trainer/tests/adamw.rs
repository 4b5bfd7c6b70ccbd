//! Burn's AdamW against PyTorch's formula.

use burn::backend::Autodiff;
use burn::module::{Module, Param};
use burn::optim::{AdamWConfig, GradientsParams, Optimizer};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use burn_flex::Flex;

type B = Autodiff<Flex>;

#[derive(Module, Debug)]
struct Line<B: Backend> {
    weight: Param<Tensor<B, 1>>,
}

/// PyTorch's `AdamW`, one weight at a time, in `f64`.
fn reference(mut weight: f64, gradients: &[f64], rate: f64, decay: f64) -> f64 {
    let (mut first, mut second) = (0.0, 0.0);
    for (index, gradient) in gradients.iter().enumerate() {
        weight *= 1.0 - rate * decay;
        first = 0.9 * first + 0.1 * gradient;
        second = 0.999 * second + 0.001 * gradient * gradient;
        let step = index as i32 + 1;
        let (first, second) = (
            first / (1.0 - 0.9f64.powi(step)),
            second / (1.0 - 0.999f64.powi(step)),
        );
        weight -= rate * first / (second.sqrt() + 1e-8);
    }
    weight
}

#[test]
fn steps_follow_the_formula() {
    let device = Default::default();
    let (start, rate, decay) = ([0.5, -2.0, 3.0], 0.01, 0.1);
    let factors = [
        [1.0, -0.5, 1e-3],
        [0.3, 2.0, -2e-3],
        [-0.7, 0.1, 0.0],
        [0.2, 0.2, 5e-4],
    ];
    let weight = Tensor::<B, 1>::from_floats(start, &device);
    let mut line = Line {
        weight: Param::from_tensor(weight),
    };
    let mut optimizer = AdamWConfig::new()
        .with_epsilon(1e-8)
        .with_weight_decay(decay as f32)
        .init::<B, Line<B>>();
    for factor in factors {
        let loss = (line.weight.val() * Tensor::from_floats(factor, &device)).sum();
        let gradients = GradientsParams::from_grads(loss.backward(), &line);
        line = optimizer.step(rate, line, gradients);
    }
    let found = line.weight.val().into_data().into_vec::<f32>().unwrap();
    for (index, found) in found.into_iter().enumerate() {
        let gradients = factors.map(|factor| f64::from(factor[index] as f32));
        let expected = reference(start[index], &gradients, rate, decay);
        assert!(
            (f64::from(found) - expected).abs() < 2e-6,
            "{index}: {found}, not {expected}"
        );
    }
    // The first step by hand: 0.5 (1 - 0.01 * 0.1) - 0.01 * 1 / (1 + 1e-8).
    assert!((reference(0.5, &[1.0], rate, decay) - 0.489_500_000_1).abs() < 1e-12);
}
