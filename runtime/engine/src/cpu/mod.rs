//! Convolutions of volumes and attention on the processor, instead of ONNX Runtime's.
//!
//! ONNX Runtime unrolls 3-D convolutions into matrices that are larger than its caches. Here, inputs are packed into
//! blocks that stay in the cache ([`plane`], [`pack`]) and multiplied with the weights in place ([`tile`]); where this
//! saves products, several planes of the output are computed at once ([`winograd`]). Attention is a product of the same
//! tiles, in windows that stay in the cache ([`attention`]).

#![cfg_attr(
    not(target_arch = "x86_64"),
    allow(
        dead_code,
        unused_variables,
        unreachable_code,
        reason = "no value of `Instructions` is ever made"
    )
)]

mod attention;
mod attention_operator;
mod conv_transpose;
mod convolution;
mod operator;
mod pack;
mod plan;
mod plane;
mod processor;
mod scratch;
#[cfg(test)]
mod tests;
mod tile;
mod winograd;

use attention::PlannedAttention;
pub(crate) use operator::operators;
use plan::PlannedConvolution;
pub(crate) use processor::Processor;
use vesal_onnx::{AttentionSizes, VolumeConvolution};

/// Channels below which ONNX Runtime is as fast.
const FEW_CHANNELS: usize = 4;

/// Memory of convolutions and attentions in bytes, besides the network's activations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct KernelBytes {
    weights: u64,
    /// Working memory of the threads.
    scratch: u64,
}

impl Processor {
    /// Plans a convolution; `None` if ONNX Runtime computes it as fast.
    pub(crate) fn plan(self, sizes: &VolumeConvolution) -> Option<PlannedConvolution> {
        let strided = sizes.stride != [1; 3] && sizes.transposed.is_none();
        let slow = sizes.taps() == 1
            || sizes.channels < FEW_CHANNELS
            || strided && sizes.filters < self.instructions.least_strided_filters();
        (!slow)
            .then(|| PlannedConvolution::new(self, *sizes))
            .flatten()
    }

    /// Plans an attention; `None` if this program's kernel does not support its sizes.
    pub(crate) fn plan_attention(self, sizes: &AttentionSizes) -> Option<PlannedAttention> {
        PlannedAttention::new(self, *sizes)
    }
}

impl KernelBytes {
    /// Counts one more convolution.
    pub(crate) fn add(&mut self, convolution: &PlannedConvolution) {
        self.weights = self
            .weights
            .saturating_add(convolution.transformed_bytes() as u64);
        self.scratch = self.scratch.max(convolution.scratch_bytes() as u64);
    }

    /// Counts one more attention.
    pub(crate) fn add_attention(&mut self, attention: &PlannedAttention) {
        self.scratch = self.scratch.max(attention.scratch_bytes() as u64);
    }

    pub(crate) fn total(self) -> u64 {
        self.weights.saturating_add(self.scratch)
    }
}
