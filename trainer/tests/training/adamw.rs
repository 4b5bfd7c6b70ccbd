//! The optimizer compared with PyTorch's formula.

use burn::backend::Autodiff;
use burn::module::{Module, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use burn_flex::Flex;
use vesal_trainer::algorithms::Optimizer;
use vesal_trainer::fit::optimizer::GradientDescent;

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
    let mut optimizer = GradientDescent::<Flex>::new(Optimizer::ADAMW, decay, None);
    for factor in factors {
        let loss = (line.weight.val() * Tensor::from_floats(factor, &device)).sum();
        let gradients = GradientsParams::from_grads(loss.backward(), &line);
        (line, _) = optimizer.step::<B, _>(rate, line, gradients, 1.0, false);
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

#[test]
fn a_guarded_step_with_an_infinite_gradient_changes_nothing() {
    let device = Default::default();
    let mut line = Line {
        weight: Param::from_tensor(Tensor::<B, 1>::from_floats([0.5, -2.0], &device)),
    };
    let mut optimizer = GradientDescent::<Flex>::new(Optimizer::ADAMW, 0.1, None);
    for (factor, overflows) in [([2.0, 4.0], false), ([f32::INFINITY, 1.0], true)] {
        let before = line.weight.val().into_data();
        let loss = (line.weight.val() * Tensor::from_floats(factor, &device)).sum();
        let gradients = GradientsParams::from_grads(loss.backward(), &line);
        let norm;
        (line, norm) = optimizer.step::<B, _>(0.01, line, gradients, 0.5, true);
        assert_eq!(norm.unwrap().into_scalar().is_finite(), !overflows);
        assert_eq!(line.weight.val().into_data() == before, overflows);
    }
    // The first step ignores the size of the gradient.
    let found = line.weight.val().into_data().into_vec::<f32>().unwrap();
    assert!(
        (found[0] - (0.5 * (1.0 - 0.001) - 0.01)).abs() < 1e-6,
        "{found:?}"
    );
}

#[test]
fn gradients_above_the_limit_are_scaled_down_together() {
    let device = Default::default();
    let mut line = Line {
        weight: Param::from_tensor(Tensor::<B, 1>::from_floats([0.5, -2.0], &device)),
    };
    // A factor on the loss makes no difference; the norms are 5 and 0.5.
    let (gradients, factor, limit) = ([[3.0, 4.0], [0.3, 0.4]], 0.5f32, 2.0);
    let mut optimizer = GradientDescent::<Flex>::new(Optimizer::ADAMW, 0.0, Some(limit));
    for gradient in gradients {
        let scaled = gradient.map(|value: f32| value / factor);
        let loss = (line.weight.val() * Tensor::from_floats(scaled, &device)).sum();
        let gradients = GradientsParams::from_grads(loss.backward(), &line);
        let norm;
        (line, norm) = optimizer.step::<B, _>(0.01, line, gradients, factor, false);
        assert!(norm.is_some());
    }
    let found = line.weight.val().into_data().into_vec::<f32>().unwrap();
    for (index, (start, found)) in [0.5, -2.0].into_iter().zip(found).enumerate() {
        let clipped = f64::from(gradients[0][index]) * limit / (5.0 + 1e-6);
        let expected = reference(start, &[clipped, f64::from(gradients[1][index])], 0.01, 0.0);
        assert!(
            (f64::from(found) - expected).abs() < 2e-6,
            "{found}, not {expected}"
        );
    }
}
