//! Layers that cells and stems are made of.

use burn::module::Module;
use burn::nn::conv::Conv3d;
use burn::tensor::backend::Backend;

use crate::blocks::{InstanceNorm, conv};
use crate::ops::NetworkOps;

/// A value and, once it is needed, `max(·, 0)` of it: cells that start with it share it.
pub(super) struct Rectifiable<V> {
    pub value: V,
    rectified: Option<V>,
}

impl<V: Clone> Rectifiable<V> {
    pub fn new(value: V) -> Self {
        Self {
            value,
            rectified: None,
        }
    }

    /// `max(·, 0)` of the value.
    pub fn rectified<B: Backend, O: NetworkOps<B, Value = V>>(&mut self, ops: &mut O) -> V {
        let rectified = &mut self.rectified;
        rectified
            .get_or_insert_with(|| ops.relu(self.value.clone()))
            .clone()
    }
}

/// A convolution of a value that is at least 0, then an instance normalization.
///
/// **Source**: MONAI 1.6.1 `ReLUConvNormBlock`, and `P3DReLUConvNormBlock` where there are two convolutions.
#[derive(Module, Debug)]
pub(super) struct ConvNorm<B: Backend> {
    conv: Conv3d<B>,
    conv_1: Option<Conv3d<B>>,
    norm: InstanceNorm<B>,
}

impl<B: Backend> ConvNorm<B> {
    /// From `channels[0]` to `channels[1]`, with one kernel or two.
    pub fn new(channels: [usize; 2], kernels: &[[usize; 3]], device: &B::Device) -> Self {
        let [_, outputs] = channels;
        let second = kernels.get(1);
        Self {
            conv: conv(channels, kernels[0], [1; 3], device),
            conv_1: second.map(|&kernel| conv([outputs; 2], kernel, [1; 3], device)),
            norm: InstanceNorm::new(outputs, device),
        }
    }

    /// Interprets the convolutions and the normalization.
    pub fn run<O: NetworkOps<B>>(&self, ops: &mut O, rectified: O::Value) -> O::Value {
        let x = ops.conv(&self.conv, rectified);
        let x = match &self.conv_1 {
            Some(second) => ops.conv(second, x),
            None => x,
        };
        ops.instance_norm(&self.norm, x)
    }
}
