//! Layer normalization.

use burn::module::{Initializer, Module, Param};
use burn::tensor::{Tensor, backend::Backend};

/// Normalizes the last axis of each element, then scales and shifts it with learned weights, if it has any.
///
/// **Shapes**: `[.., C]` → the same.
///
/// **Definition**: `y = weight (x - mean) / sqrt(var + epsilon) + bias`, population variance, epsilon 1e-5.
///
/// **Source**: Ba et al. 2016; parameter names as in PyTorch's `LayerNorm`, so that state dicts map one to one.
#[derive(Module, Debug)]
pub struct LayerNorm<B: Backend> {
    /// Scale, `[C]`.
    pub weight: Option<Param<Tensor<B, 1>>>,
    /// Shift, `[C]`.
    pub bias: Option<Param<Tensor<B, 1>>>,
    pub channels: usize,
    /// Added to the variance.
    pub epsilon: f64,
}

impl<B: Backend> LayerNorm<B> {
    /// A normalization of this many channels, scale 1 and shift 0.
    pub fn new(channels: usize, device: &B::Device) -> Self {
        Self {
            weight: Some(Initializer::Ones.init([channels], device)),
            bias: Some(Initializer::Zeros.init([channels], device)),
            ..Self::without_weights(channels)
        }
    }

    /// A normalization that neither scales nor shifts.
    pub fn without_weights(channels: usize) -> Self {
        Self {
            weight: None,
            bias: None,
            channels,
            epsilon: 1e-5,
        }
    }
}
