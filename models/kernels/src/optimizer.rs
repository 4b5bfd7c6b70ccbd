//! The optimizer's data.

use burn::tensor::backend::Backend;
use burn::tensor::ops::FloatTensor;

/// Hyperparameters of one AdamW step.
///
/// **Definition**: with the gradient `g' = g · gradient_factor`, `m ← β₁ m + (1 - β₁) g'`, `v ← β₂ v + (1 - β₂) g'²`,
/// `w ← w (1 - rate · decay) - rate · (m / (1 - β₁ᵗ)) / (√(v / (1 - β₂ᵗ)) + ε)`.
///
/// **Source**: Loshchilov & Hutter 2019, algorithm 2; PyTorch `AdamW`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamWStep {
    /// Learning rate.
    pub rate: f32,
    /// Decay rates of the two moments.
    pub betas: [f32; 2],
    /// Added to the root of the second moment.
    pub epsilon: f32,
    /// Decoupled weight decay.
    pub decay: f32,
    /// Which step this is, from 1.
    pub time: u32,
    /// Multiplies every gradient: the inverse of a loss scale.
    pub gradient_factor: f32,
}

impl AdamWStep {
    /// `1 / (1 - βᵗ)` of both moments.
    pub fn corrections(&self) -> [f32; 2] {
        let exponent = i32::try_from(self.time).unwrap_or(i32::MAX);
        self.betas
            .map(|beta| (1.0 / (1.0 - f64::from(beta).powi(exponent))) as f32)
    }
}

/// A parameter, its gradient and what the optimizer remembers of it; all of one shape, `f32`.
#[derive(Debug)]
pub struct Moments<B: Backend> {
    /// The weights.
    pub weights: FloatTensor<B>,
    /// Gradient of the loss with respect to them.
    pub gradient: FloatTensor<B>,
    /// Running mean of the gradient.
    pub first: FloatTensor<B>,
    /// Running mean of its square.
    pub second: FloatTensor<B>,
}
