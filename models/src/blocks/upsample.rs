//! Upsampling by transposed convolution.

use burn::module::Module;
use burn::nn::conv::{ConvTranspose3d, ConvTranspose3dConfig};
use burn::tensor::backend::Backend;
use vesal_network::kernel_for_scale;

use crate::ops::NetworkOps;

/// A transposed convolution that multiplies each axis by `scale`.
///
/// **Source**: MONAI 1.6.1 `UpSample(mode="deconv")`; the field name makes state dicts map one to one.
#[derive(Module, Debug)]
pub struct UpSample<B: Backend> {
    deconv: ConvTranspose3d<B>,
}

impl<B: Backend> UpSample<B> {
    /// Upsampling from `channels[0]` to `channels[1]`.
    pub fn new(channels: [usize; 2], scale: [usize; 3], device: &B::Device) -> Self {
        let kernel = kernel_for_scale(scale);
        let deconv = ConvTranspose3dConfig::new(channels, kernel)
            .with_stride(scale)
            .with_padding(kernel.map(|k| k / 2))
            .with_padding_out(scale.map(|s| s - 1))
            .with_bias(false)
            .init(device);
        Self { deconv }
    }

    /// Interprets the layer.
    ///
    /// **Shapes**: `[N, C, X, Y, Z]` → `[N, K, scale X, scale Y, scale Z]`.
    pub fn run<O: NetworkOps<B>>(&self, ops: &mut O, x: O::Value) -> O::Value {
        ops.conv_transpose(&self.deconv, x)
    }
}
