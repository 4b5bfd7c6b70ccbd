//! The pre-activation residual block of SegResNet.

use burn::module::Module;
use burn::nn::conv::Conv3d;
use burn::tensor::backend::Backend;

use super::{InstanceNorm, conv};
use crate::ops::NetworkOps;

/// `x + conv2(relu(norm2(conv1(relu(norm1(x))))))`, channels and shape kept.
///
/// **Source**: Myronenko 2018, "3D MRI brain tumor segmentation using autoencoder regularization"; MONAI 1.6.1
/// `SegResBlock`.
#[derive(Module, Debug)]
pub struct ResidualBlock<B: Backend> {
    norm1: InstanceNorm<B>,
    conv1: Conv3d<B>,
    norm2: InstanceNorm<B>,
    conv2: Conv3d<B>,
}

impl<B: Backend> ResidualBlock<B> {
    /// A block of this many channels with this kernel.
    pub fn new(channels: usize, kernel: [usize; 3], device: &B::Device) -> Self {
        Self {
            norm1: InstanceNorm::new(channels, device),
            conv1: conv([channels, channels], kernel, [1; 3], device),
            norm2: InstanceNorm::new(channels, device),
            conv2: conv([channels, channels], kernel, [1; 3], device),
        }
    }

    /// Interprets the block.
    ///
    /// **Shapes**: `[N, C, X, Y, Z]` → the same.
    pub fn run<O: NetworkOps<B>>(&self, ops: &mut O, x: O::Value) -> O::Value {
        let y = ops.norm_relu(&self.norm1, x.clone());
        let y = ops.conv(&self.conv1, y);
        let y = ops.norm_relu(&self.norm2, y);
        let y = ops.conv(&self.conv2, y);
        ops.add(y, x)
    }
}
