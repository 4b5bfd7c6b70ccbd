//! Processors, and the instruction sets that the convolutions use.

use std::fmt;
use std::num::NonZeroUsize;
use std::thread::available_parallelism;

use crate::options::{Convolutions, EngineOptions};

/// An instruction set that the convolutions use.
///
/// A value of this type exists only where the processor has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Instructions {
    /// AVX-512F, AVX2 and FMA.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// AVX2 and FMA.
    #[cfg(target_arch = "x86_64")]
    Avx2,
}

/// Instructions and threads that own convolutions are computed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Processor {
    pub instructions: Instructions,
    pub workers: usize,
}

impl Instructions {
    /// Instructions that this processor has, the fastest first.
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
    pub(super) fn least_strided_filters(self) -> usize {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => 1,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => 32,
        }
    }
}

impl Processor {
    /// This processor; `None` where own convolutions are not wanted or its instructions are not supported.
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
