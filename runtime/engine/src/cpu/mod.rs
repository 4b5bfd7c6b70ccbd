//! Convolutions of volumes on the processor, instead of ONNX Runtime's.
//!
//! ONNX Runtime unrolls 3-D convolutions into matrices that are larger than its caches. Here inputs are put together in
//! pieces that stay in the cache ([`plane`], [`pack`]) and multiplied with the weights where they lie ([`tile`]); where
//! that takes fewer products, several planes of the output are computed at once ([`winograd`]).

#![cfg_attr(
    not(target_arch = "x86_64"),
    allow(
        dead_code,
        unused_variables,
        unreachable_code,
        reason = "no value of `Instructions` is ever made"
    )
)]

mod conv_transpose;
mod convolution;
mod operator;
mod pack;
mod plan;
mod plane;
mod scratch;
#[cfg(test)]
mod tests;
mod tile;
mod winograd;

use std::fmt;
use std::num::NonZeroUsize;
use std::thread::available_parallelism;

use vesal_onnx::VolumeConvolution;

use crate::options::{Convolutions, EngineOptions};
pub(crate) use operator::operators;
use plan::Convolution;

/// Channels below which ONNX Runtime is as fast.
const FEW_CHANNELS: usize = 4;

/// Instructions of a processor that the convolutions are written in.
///
/// A value of this type is only made where the processor has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Instructions {
    /// AVX-512F, AVX2 and FMA.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// AVX2 and FMA.
    #[cfg(target_arch = "x86_64")]
    Avx2,
}

/// What convolutions are computed with here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Processor {
    pub instructions: Instructions,
    /// Threads that compute together.
    pub workers: usize,
}

/// Bytes that convolutions take beside the network's activations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct KernelBytes {
    /// Weights that are kept in another form.
    weights: u64,
    /// What the threads work in.
    scratch: u64,
}

impl Instructions {
    /// Those that this processor has, the fastest first.
    pub(crate) fn all() -> &'static [Self] {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            return match is_x86_feature_detected!("avx512f") {
                true => &[Self::Avx512, Self::Avx2],
                false => &[Self::Avx2],
            };
        }
        &[]
    }

    /// Filters below which ONNX Runtime is faster at steps of several voxels.
    fn least_strided_filters(self) -> usize {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => 1,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => 32,
        }
    }
}

impl Processor {
    /// What own convolutions are computed with; nothing where they are not wanted, or where the processor is none of those
    /// that they are written for.
    pub(crate) fn here(options: &EngineOptions) -> Option<Self> {
        if options.convolutions == Convolutions::OnnxRuntime {
            return None;
        }
        let workers = options.threads.or_else(|| available_parallelism().ok());
        Some(Self {
            instructions: *Instructions::all().first()?,
            workers: workers.map_or(1, NonZeroUsize::get),
        })
    }

    /// Plans a convolution; none if ONNX Runtime computes it as fast.
    pub(crate) fn plan(self, sizes: &VolumeConvolution) -> Option<Convolution> {
        let strided = sizes.stride != [1; 3] && sizes.transposed.is_none();
        let slow = sizes.taps() == 1
            || sizes.channels < FEW_CHANNELS
            || strided && sizes.filters < self.instructions.least_strided_filters();
        (!slow).then(|| Convolution::new(self, *sizes)).flatten()
    }
}

impl KernelBytes {
    /// Counts one more convolution.
    pub(crate) fn add(&mut self, convolution: &Convolution) {
        self.weights = self
            .weights
            .saturating_add(convolution.transformed_bytes() as u64);
        self.scratch = self.scratch.max(convolution.scratch_bytes() as u64);
    }

    pub(crate) fn total(self) -> u64 {
        self.weights.saturating_add(self.scratch)
    }
}

impl fmt::Display for Instructions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match *self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => "AVX-512",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => "AVX2",
        })
    }
}
