//! A step of stochastic gradient descent.

use burn_flex::{Flex, FlexTensor};

use super::dispatch::vectorized;
use super::lanes::{Lanes, Vectorized};
use super::optimizer::update;
use crate::optimizer::{SgdStep, Velocity};

pub fn sgd(
    parameters: Vec<Velocity<Flex>>,
    step: SgdStep,
    guard: Option<FlexTensor>,
) -> Vec<[FlexTensor; 2]> {
    let parameters = parameters
        .into_iter()
        .map(|parameter| ([parameter.weights, parameter.velocity], parameter.gradient));
    update(
        parameters,
        guard,
        |[weights, velocity], gradient, squares| {
            vectorized(Update {
                weights,
                gradient,
                velocity,
                step,
                factor: step.factor(squares),
            })
        },
    )
}

struct Update<'a> {
    weights: &'a mut [f32],
    gradient: &'a [f32],
    velocity: &'a mut [f32],
    step: SgdStep,
    factor: f32,
}

impl Vectorized for Update<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let SgdStep {
            rate,
            momentum,
            decay,
            ..
        } = self.step;
        let length = self.weights.len();
        let weights = &mut self.weights[..length];
        let gradient = &self.gradient[..length];
        let velocity = &mut self.velocity[..length];
        for i in 0..length {
            let gradient = gradient[i] * self.factor + weights[i] * decay;
            velocity[i] = velocity[i] * momentum + gradient;
            weights[i] -= velocity[i] * rate;
        }
    }
}
