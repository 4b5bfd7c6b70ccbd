//! The optimizers' steps, and the norm that guards them.

use burn::tensor::TensorData;
use burn::tensor::ops::FloatTensor;
use burn_flex::Flex;

use super::{Numbers, assert_close, float, values};
use crate::backend_ops::BackendOps;
use crate::optimizer::{AdamWStep, Moments, SgdStep, Velocity};
use crate::reference;

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

/// A step of gradient descent with momentum, guarded and not.
pub fn check_sgd<B: BackendOps>(tolerance: f32) {
    let free = SgdStep {
        rate: 0.2,
        momentum: 0.9,
        decay: 0.01,
        gradient_factor: 0.25,
        max_norm: None,
    };
    let limited = SgdStep {
        max_norm: Some(0.75),
        ..free
    };
    let mut numbers = Numbers::new(13);
    let data: Vec<[TensorData; 3]> = [[3, 5, 7], [1, 1, 1], [9, 50, 60]]
        .into_iter()
        .map(|shape| [shape; 3].map(|shape| numbers.floats(shape)))
        .collect();
    let steps = [
        (free, None),
        (free, Some(1.0_f32)),
        (free, Some(f32::NAN)),
        (limited, Some(1.0)),
        (limited, Some(256.0)),
        (limited, Some(f32::INFINITY)),
    ];
    for (step, guard) in steps {
        let what = format!(
            "step guarded by {guard:?} with a limit of {:?}",
            step.max_norm
        );
        let as_data = guard.map(|guard| TensorData::from([guard]));
        let shared: Vec<Velocity<B>> = data.iter().map(velocity::<B>).collect();
        let held: Vec<FloatTensor<B>> = shared.iter().map(|own| own.weights.clone()).collect();
        let actual = B::sgd(shared, step, as_data.as_ref().map(float::<B>));
        let expected = data.iter().map(|data| descended(data, step, guard));
        for (actual, expected) in actual.into_iter().zip(expected) {
            for (actual, expected) in actual.into_iter().zip(expected) {
                assert_close(&what, &values::<B>(actual), &expected, tolerance);
            }
        }
        for (held, [weights, ..]) in held.into_iter().zip(&data) {
            let before: Vec<f32> = weights.iter::<f32>().collect();
            assert_eq!(values::<B>(held), before, "what others hold has changed");
        }
    }
}

/// Weights and velocity after a step, in double precision.
fn descended(data: &[TensorData; 3], step: SgdStep, guard: Option<f32>) -> [Vec<f32>; 2] {
    let [weights, gradient, velocity] = data
        .each_ref()
        .map(|data| data.iter::<f32>().map(f64::from).collect::<Vec<_>>());
    let skipped = guard.is_some_and(|guard| !guard.is_finite());
    let [rate, momentum, decay, factor] =
        [step.rate, step.momentum, step.decay, step.factor(guard)].map(f64::from);
    let pairs = (0..weights.len()).map(|i| {
        if skipped {
            return (weights[i] as f32, velocity[i] as f32);
        }
        let slope = gradient[i] * factor + decay * weights[i];
        let velocity = momentum * velocity[i] + slope;
        ((weights[i] - rate * velocity) as f32, velocity as f32)
    });
    let (weights, velocity) = pairs.unzip();
    [weights, velocity]
}

fn velocity<B: BackendOps>([weights, gradient, velocity]: &[TensorData; 3]) -> Velocity<B> {
    Velocity {
        weights: float::<B>(weights),
        gradient: float::<B>(gradient),
        velocity: float::<B>(velocity),
    }
}
