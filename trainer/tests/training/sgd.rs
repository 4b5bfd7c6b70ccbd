//! Stochastic gradient descent compared with PyTorch's formula.

use burn::backend::Autodiff;
use burn::module::{Module, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use burn_flex::Flex;
use vesal_trainer::algorithms::dints::DINTS;
use vesal_trainer::fit::optimizer::GradientDescent;

type B = Autodiff<Flex>;

const START: [f64; 2] = [0.5, -2.0];
const RATE: f64 = 0.2;
const DECAY: f64 = 0.1;
const LIMIT: f64 = 2.0;
/// Gradients of the steps, of norms above the limit, below it, not finite, and below it.
const GRADIENTS: [[f64; 2]; 4] = [[3.0, 4.0], [0.3, -0.4], [f64::INFINITY, 1.0], [0.1, 0.2]];

#[derive(Module, Debug)]
struct Pair<B: Backend> {
    weight: Param<Tensor<B, 1>>,
}

/// PyTorch's `clip_grad_norm_` and `SGD` with momentum and weight decay, in `f64`; steps with a gradient that is not
/// finite are left out.
fn reference() -> [f64; 2] {
    let (mut weights, mut velocity) = (START, None);
    for gradient in GRADIENTS.iter().filter(|gradient| gradient[0].is_finite()) {
        let norm = gradient[0].hypot(gradient[1]);
        let factor = (LIMIT / (norm + 1e-6)).min(1.0);
        let decayed: [f64; 2] =
            std::array::from_fn(|index| factor * gradient[index] + DECAY * weights[index]);
        let moved = match velocity {
            None => decayed,
            Some(earlier) => {
                let earlier: [f64; 2] = earlier;
                std::array::from_fn(|index| 0.9 * earlier[index] + decayed[index])
            }
        };
        weights = std::array::from_fn(|index| weights[index] - RATE * moved[index]);
        velocity = Some(moved);
    }
    weights
}

#[test]
fn steps_follow_the_formula() {
    let device = Default::default();
    let mut pair = Pair {
        weight: Param::from_tensor(Tensor::<B, 1>::from_floats(
            START.map(|w| w as f32),
            &device,
        )),
    };
    // A factor on the loss makes no difference.
    let factor = 0.25;
    let mut optimizer = GradientDescent::<Flex>::new(DINTS.recipe.optimizer, DECAY, Some(LIMIT));
    for gradient in GRADIENTS {
        let before = pair.weight.val().into_data();
        let scaled = gradient.map(|value| (value / factor) as f32);
        let loss = (pair.weight.val() * Tensor::from_floats(scaled, &device)).sum();
        let gradients = GradientsParams::from_grads(loss.backward(), &pair);
        let norm;
        (pair, norm) = optimizer.step::<B, _>(RATE, pair, gradients, factor as f32, false);
        let overflows = !norm.unwrap().into_scalar().is_finite();
        assert_eq!(overflows, !gradient[0].is_finite());
        assert_eq!(pair.weight.val().into_data() == before, overflows);
    }
    let found = pair.weight.val().into_data().into_vec::<f32>().unwrap();
    for (found, expected) in found.into_iter().zip(reference()) {
        let difference = (f64::from(found) - expected).abs();
        assert!(difference < 2e-6, "{found}, not {expected}");
    }
    // The first step by hand: both gradients become 0.4 times as large.
    let first = 0.5 - RATE * (0.4 * 3.0 + 0.1 * 0.5);
    assert!((first - 0.25_f64).abs() < 1e-12);
}
