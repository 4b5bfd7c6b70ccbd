//! The normalization that a block is built with.

use burn::module::{Module, ModuleDisplay};
use burn::tensor::backend::Backend;

use super::{BatchNorm, InstanceNorm};
use crate::ops::NetworkOps;

/// A normalization of the channels of volumes, with a learned scale and shift of each.
pub trait Norm<B: Backend>: Module<B> + ModuleDisplay {
    /// Of this many channels: scale 1, shift 0.
    fn new(channels: usize, device: &B::Device) -> Self;

    /// Interprets the normalization, then `max(·, 0)`.
    ///
    /// **Shapes**: `[N, C, X, Y, Z]` → the same.
    fn run_relu<O: NetworkOps<B>>(&self, ops: &mut O, x: O::Value) -> O::Value;
}

impl<B: Backend> Norm<B> for InstanceNorm<B> {
    fn new(channels: usize, device: &B::Device) -> Self {
        Self::new(channels, device)
    }

    fn run_relu<O: NetworkOps<B>>(&self, ops: &mut O, x: O::Value) -> O::Value {
        ops.norm_relu(self, x)
    }
}

impl<B: Backend> Norm<B> for BatchNorm<B> {
    fn new(channels: usize, device: &B::Device) -> Self {
        Self::new(channels, device)
    }

    fn run_relu<O: NetworkOps<B>>(&self, ops: &mut O, x: O::Value) -> O::Value {
        ops.batch_norm_relu(self, x)
    }
}
