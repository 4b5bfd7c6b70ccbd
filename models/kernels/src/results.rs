//! What operations give, where it is more than a tensor.

use std::fmt;

use burn::tensor::backend::Backend;
use burn::tensor::ops::FloatTensor;

/// What an instance normalization gives.
#[derive(Debug, Clone)]
pub struct Normalized<B: Backend> {
    /// The normalized activations, `[N, X, Y, Z, C]`.
    pub output: FloatTensor<B>,
    /// Mean and `1 / sqrt(var + epsilon)` per case and channel, `[N, 2, C]`, `f32`: what the gradient needs.
    pub statistics: FloatTensor<B>,
}

/// Gradients of an instance normalization.
#[derive(Debug, Clone)]
pub struct NormGradients<B: Backend> {
    /// With respect to the input, `[N, X, Y, Z, C]`.
    pub input: FloatTensor<B>,
    /// With respect to the scale, `[C]`.
    pub weight: FloatTensor<B>,
    /// With respect to the shift, `[C]`.
    pub bias: FloatTensor<B>,
}

/// What the Dice and cross-entropy loss gives.
#[derive(Debug, Clone)]
pub struct DiceCe<B: Backend> {
    /// The loss, `[1]`, `f32`.
    pub loss: FloatTensor<B>,
    /// `Σ p g`, `Σ p²` and `Σ g` over voxels, `[N, 3, K]`, `f32`: what the gradient needs.
    pub sums: FloatTensor<B>,
}

/// Numbers on their way from a device.
pub struct Scalars(Box<dyn FnOnce() -> Vec<f32> + Send>);

impl Scalars {
    /// Numbers that this will give.
    pub(crate) fn new(wait: impl FnOnce() -> Vec<f32> + Send + 'static) -> Self {
        Self(Box::new(wait))
    }

    /// Waits for them, not for anything that was launched after they were asked for.
    pub fn wait(self) -> Vec<f32> {
        (self.0)()
    }
}

impl fmt::Debug for Scalars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scalars")
    }
}
