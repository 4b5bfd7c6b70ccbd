//! Instance normalization.

use burn::module::{Initializer, Module, Param};
use burn::tensor::{Tensor, backend::Backend};
use vesal_kernels::{DifferentiableOps, Nonlinearity};

/// Normalizes each channel of each case over space, then scales and shifts it with learned weights, if it has any.
///
/// **Definition**: `y = weight (x - mean) / sqrt(var + epsilon) + bias`, population variance, epsilon 1e-5.
///
/// **Source**: Ulyanov et al. 2016; parameter names as in PyTorch's `InstanceNorm3d`, so that state dicts map one to one.
#[derive(Module, Debug)]
pub struct InstanceNorm<B: Backend> {
    /// Scale, `[C]`.
    pub weight: Option<Param<Tensor<B, 1>>>,
    /// Shift, `[C]`.
    pub bias: Option<Param<Tensor<B, 1>>>,
    pub channels: usize,
    /// Added to the variance.
    pub epsilon: f64,
}

impl<B: Backend> InstanceNorm<B> {
    /// A normalization of this many channels, scale 1 and shift 0.
    pub fn new(channels: usize, device: &B::Device) -> Self {
        Self {
            weight: Some(Initializer::Ones.init([channels], device)),
            bias: Some(Initializer::Zeros.init([channels], device)),
            ..Self::without_weights(channels)
        }
    }

    /// A normalization that neither scales nor shifts (PyTorch: `affine=False`).
    pub fn without_weights(channels: usize) -> Self {
        Self {
            weight: None,
            bias: None,
            channels,
            epsilon: 1e-5,
        }
    }

    /// Normalizes, and applies the nonlinearity.
    ///
    /// **Shapes**: `[N, X, Y, Z, C]` → the same.
    pub fn forward(&self, x: Tensor<B, 5>, nonlinearity: Nonlinearity) -> Tensor<B, 5>
    where
        B: DifferentiableOps,
    {
        let affine = match (&self.weight, &self.bias) {
            (None, None) => None,
            (weight, bias) => {
                let value = |parameter: &Option<Param<Tensor<B, 1>>>, otherwise: f32| {
                    let full = || Tensor::full([self.channels], otherwise, &x.device());
                    parameter
                        .as_ref()
                        .map_or_else(full, |parameter| parameter.val())
                };
                Some([value(weight, 1.), value(bias, 0.)])
            }
        };
        vesal_kernels::instance_norm(x, affine, self.epsilon as f32, nonlinearity)
    }
}
