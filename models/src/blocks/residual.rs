//! The pre-activation residual block of SegResNet.

use burn::module::Module;
use burn::nn::conv::Conv3d;
use burn::tensor::backend::Backend;

use super::{Norm, conv};
use crate::ops::NetworkOps;

/// `x + conv2(relu(norm2(conv1(relu(norm1(x))))))`, channels and shape kept.
///
/// **Source**: Myronenko 2018, "3D MRI brain tumor segmentation using autoencoder regularization"; MONAI 1.6.1
/// `SegResBlock`.
#[derive(Module, Debug)]
pub struct ResidualBlock<B: Backend, N: Module<B>> {
    norm1: N,
    conv1: Conv3d<B>,
    norm2: N,
    conv2: Conv3d<B>,
}

impl<B: Backend, N: Norm<B>> ResidualBlock<B, N> {
    /// A block of this many channels with this kernel.
    pub fn new(channels: usize, kernel: [usize; 3], device: &B::Device) -> Self {
        Self {
            norm1: N::new(channels, device),
            conv1: conv([channels, channels], kernel, [1; 3], device),
            norm2: N::new(channels, device),
            conv2: conv([channels, channels], kernel, [1; 3], device),
        }
    }

    /// Interprets the block.
    ///
    /// **Shapes**: `[N, C, X, Y, Z]` → the same.
    pub fn run<O: NetworkOps<B>>(&self, ops: &mut O, x: O::Value) -> O::Value {
        let y = self.norm1.run_relu(ops, x.clone());
        let y = ops.conv(&self.conv1, y);
        let y = self.norm2.run_relu(ops, y);
        let y = ops.conv(&self.conv2, y);
        ops.add(y, x)
    }
}
