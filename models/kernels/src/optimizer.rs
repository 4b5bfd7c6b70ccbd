//! Hyperparameters and state of the optimizer.

use burn::tensor::backend::Backend;
use burn::tensor::ops::FloatTensor;

/// Hyperparameters of one AdamW step.
///
/// **Definition**: with the gradient `g' = g · gradient_factor` (times `max_norm / (norm + 1e-6)` where that is below 1,
/// `norm` being that of all gradients together), `m ← β₁ m + (1 - β₁) g'`, `v ← β₂ v + (1 - β₂) g'²`,
/// `w ← w (1 - rate · decay) - rate · (m / (1 - β₁ᵗ)) / (√(v / (1 - β₂ᵗ)) + ε)`.
///
/// **Source**: Loshchilov & Hutter 2019, algorithm 2; PyTorch `AdamW`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamWStep {
    pub rate: f32,
    /// Decay rates of the two moments.
    pub betas: [f32; 2],
    /// Added to the root of the second moment.
    pub epsilon: f32,
    pub decay: f32,
    /// Number of the step, from 1.
    pub time: u32,
    /// Multiplies every gradient: the inverse of a loss scale.
    pub gradient_factor: f32,
    /// Largest norm of all gradients together, the factor above included; needs a guard.
    pub max_norm: Option<f32>,
}

/// Keeps the factor finite for a gradient of norm 0.
const NORM_EPSILON: f32 = 1e-6;

impl AdamWStep {
    /// Factor on every gradient, from the sum of the squares of all.
    ///
    /// **Source**: PyTorch `clip_grad_norm_`.
    pub fn factor(&self, squared_norm: Option<f32>) -> f32 {
        limited(self.gradient_factor, self.max_norm, squared_norm)
    }

    /// `1 / (1 - βᵗ)` of both moments.
    pub fn corrections(&self) -> [f32; 2] {
        let exponent = i32::try_from(self.time).unwrap_or(i32::MAX);
        self.betas
            .map(|beta| (1.0 / (1.0 - f64::from(beta).powi(exponent))) as f32)
    }
}

/// A factor on gradients, made smaller where their norm would exceed a limit.
fn limited(factor: f32, max_norm: Option<f32>, squared_norm: Option<f32>) -> f32 {
    match (max_norm, squared_norm) {
        (Some(most), Some(squares)) => {
            let norm = squares.sqrt() * factor;
            factor * (most / (norm + NORM_EPSILON)).min(1.0)
        }
        _ => factor,
    }
}

/// Hyperparameters of one step of stochastic gradient descent with momentum.
///
/// **Definition**: with the gradient `g' = g · gradient_factor`, limited as in [`AdamWStep`], then
/// `v ← momentum · v + (g' + decay · w)`, `w ← w - rate · v`. A velocity of 0 before the first step makes that step's
/// velocity the gradient.
///
/// **Source**: PyTorch `SGD(momentum=…, weight_decay=…)`, without dampening.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SgdStep {
    pub rate: f32,
    /// Share of the velocity that is kept.
    pub momentum: f32,
    /// Share of the weights that is added to the gradient.
    pub decay: f32,
    /// Multiplies every gradient: the inverse of a loss scale.
    pub gradient_factor: f32,
    /// Largest norm of all gradients together, the factor above included; needs a guard.
    pub max_norm: Option<f32>,
}

impl SgdStep {
    /// Factor on every gradient, from the sum of the squares of all.
    pub fn factor(&self, squared_norm: Option<f32>) -> f32 {
        limited(self.gradient_factor, self.max_norm, squared_norm)
    }
}

/// A parameter, its gradient and its velocity; all of one shape, `f32`.
#[derive(Debug)]
pub struct Velocity<B: Backend> {
    pub weights: FloatTensor<B>,
    /// Gradient of the loss with respect to them.
    pub gradient: FloatTensor<B>,
    /// Running sum of the gradients, each step weighted by the momentum.
    pub velocity: FloatTensor<B>,
}

/// A parameter, its gradient and both moments; all of one shape, `f32`.
#[derive(Debug)]
pub struct Moments<B: Backend> {
    pub weights: FloatTensor<B>,
    /// Gradient of the loss with respect to them.
    pub gradient: FloatTensor<B>,
    /// Running mean of the gradient.
    pub first: FloatTensor<B>,
    /// Running mean of its square.
    pub second: FloatTensor<B>,
}
