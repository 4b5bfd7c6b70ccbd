//! Linear maps of channels.

use burn::module::{Initializer, Module, Param};
use burn::tensor::{Tensor, backend::Backend};

/// `y = weight x + bias` along the last axis.
///
/// **Shapes**: `[.., C]` → `[.., K]`.
///
/// **Source**: PyTorch's `Linear`, whose weight is `[K, C]`: state dicts map one to one.
#[derive(Module, Debug)]
pub struct Linear<B: Backend> {
    /// `[K, C]`.
    pub weight: Param<Tensor<B, 2>>,
    /// `[K]`.
    pub bias: Option<Param<Tensor<B, 1>>>,
}

impl<B: Backend> Linear<B> {
    /// A map from `channels[0]` to `channels[1]` with fresh weights: uniform in ±1/√C (PyTorch's default).
    pub fn new(channels: [usize; 2], with_bias: bool, device: &B::Device) -> Self {
        let [inputs, outputs] = channels;
        let bound = 1. / (inputs as f64).sqrt();
        let uniform = Initializer::Uniform {
            min: -bound,
            max: bound,
        };
        Self {
            weight: uniform.init([outputs, inputs], device),
            bias: with_bias.then(|| uniform.init([outputs], device)),
        }
    }

    /// Input and output channels.
    pub fn channels(&self) -> [usize; 2] {
        let [outputs, inputs] = self.weight.dims();
        [inputs, outputs]
    }
}
