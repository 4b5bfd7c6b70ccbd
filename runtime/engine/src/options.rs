//! How networks are run.

use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Serialize, Serializer};
use thiserror::Error;

use crate::device::Device;

/// How networks are run; the default lets everything be chosen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EngineOptions {
    /// Where.
    pub device: Device,
    /// In which floats.
    pub precision: Precision,
    /// Threads of one operator on a processor; all cores if not given.
    pub threads: Option<NonZeroUsize>,
    /// Windows per call of a network; 1 on a processor and up to 4 on a GPU if not given.
    pub batch: Option<NonZeroUsize>,
    /// File or folder of ONNX Runtime's library; looked for if not given.
    pub library: Option<PathBuf>,
}

/// Floats in which a network computes; what goes in and comes out are 32-bit floats either way.
///
/// ```
/// use vesal_engine::Precision;
///
/// assert_eq!("f16".parse(), Ok(Precision::F16));
/// assert_eq!(Precision::default().to_string(), "f32");
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Precision {
    /// 32-bit floats; products of a GPU's convolutions have 10 bits of mantissa (TF32), as in PyTorch.
    #[default]
    F32,
    /// 16-bit floats, whose sums are 32-bit ones: half the memory, and twice the speed on a GPU. Values end at 65504.
    F16,
}

impl fmt::Display for Precision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
        })
    }
}

impl Serialize for Precision {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A text that names no precision.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the precision is {found:?}, expected `f32` or `f16`")]
pub struct ParsePrecisionError {
    /// The text.
    pub found: String,
}

impl FromStr for Precision {
    type Err = ParsePrecisionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "f32" => Ok(Self::F32),
            "f16" => Ok(Self::F16),
            _ => Err(ParsePrecisionError { found: text.into() }),
        }
    }
}
