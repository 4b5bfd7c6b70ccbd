//! Convolutions of volumes on the processor, instead of ONNX Runtime's.
//!
//! ONNX Runtime unrolls 3-D convolutions into matrices that are larger than its caches. Here inputs are put together in
//! pieces that stay in the cache ([`plane`], [`pack`]) and multiplied with the weights where they lie ([`tile`]); where
//! that takes fewer products, several planes of the output are computed at once ([`winograd`]).

#![warn(clippy::undocumented_unsafe_blocks)]

mod convolution;
mod doubling;
mod operator;
mod pack;
mod plan;
mod plane;
mod scratch;
#[cfg(test)]
mod tests;
mod tile;
mod winograd;

use std::env;
use std::fmt;
use std::num::NonZeroUsize;
use std::thread::available_parallelism;

use vesal_onnx::VolumeConvolution;

use crate::options::{EngineOptions, ParseOptionError};
pub(crate) use operator::operators;
use plan::Convolution;

/// Environment variable that says whose convolutions run on the processor: `own` or `onnxruntime`.
const VARIABLE: &str = "VESAL_CONVOLUTIONS";
/// Channels below which ONNX Runtime is as fast.
const FEW_CHANNELS: usize = 4;
/// Filters below which it is faster at steps of several voxels, without AVX-512.
const FEW_FILTERS: usize = 32;

/// Instructions of a processor that the convolutions are written in.
///
/// A value of this type is only made where the processor has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Instructions {
    /// AVX-512F, AVX2 and FMA.
    Avx512,
    /// AVX2 and FMA.
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
}

impl Processor {
    /// What own convolutions are computed with; nothing where the processor is not one of those they are written for, or
    /// where the user does not want them.
    ///
    /// **Errors**: the environment variable says neither.
    pub(crate) fn here(options: &EngineOptions) -> Result<Option<Self>, ParseOptionError> {
        let wanted = env::var_os(VARIABLE).map(|text| text.to_string_lossy().into_owned());
        match wanted.as_deref() {
            None | Some("" | "own") => {}
            Some("onnxruntime") => return Ok(None),
            Some(found) => {
                return Err(ParseOptionError {
                    what: "variable VESAL_CONVOLUTIONS",
                    found: found.into(),
                    expected: "`own` or `onnxruntime`",
                });
            }
        }
        let workers = options.threads.or_else(|| available_parallelism().ok());
        let of = |&instructions: &Instructions| Self {
            instructions,
            workers: workers.map_or(1, NonZeroUsize::get),
        };
        Ok(Instructions::all().first().map(of))
    }

    /// Plans a convolution; none if ONNX Runtime computes it as fast.
    pub(crate) fn plan(self, sizes: &VolumeConvolution) -> Option<Convolution> {
        let strided = sizes.stride != [1; 3] && sizes.transposed.is_none();
        let slow = sizes.taps() == 1
            || sizes.channels < FEW_CHANNELS
            || strided && sizes.filters < FEW_FILTERS && self.instructions == Instructions::Avx2;
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
        formatter.write_str(match self {
            Self::Avx512 => "AVX-512",
            Self::Avx2 => "AVX2",
        })
    }
}
