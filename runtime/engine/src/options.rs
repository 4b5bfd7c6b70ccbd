//! Options for running networks.

use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::device::Device;
use crate::plugin::Provider;

/// Options for running networks; by default, everything is chosen automatically.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EngineOptions {
    pub device: Device,
    /// Threads of one operator on a processor; all cores if not given.
    pub threads: Option<NonZeroUsize>,
    /// Windows per call of a network; 1 on a processor and up to 4 on a GPU if not given.
    pub batch: Option<NonZeroUsize>,
    /// Execution provider.
    pub provider: Provider,
    /// Precision of the computation.
    pub precision: InferencePrecision,
    /// Search for convolution algorithms on a GPU.
    pub search: ConvolutionSearch,
    /// Implementation of convolutions on a processor.
    pub convolutions: Convolutions,
    /// Limit of a run's GPU memory in bytes; all free memory if not given.
    pub max_vram: Option<u64>,
    /// File or folder of ONNX Runtime's library; by default it is searched for.
    pub library: Option<PathBuf>,
}

/// Precision of the computation: `f32` or `f16`.
///
/// **Examples**
/// ```
/// use vesal_engine::InferencePrecision;
///
/// assert_eq!("f16".parse(), Ok(InferencePrecision::Float16));
/// assert_eq!(InferencePrecision::default().to_string(), "f32");
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum InferencePrecision {
    /// Single precision; on a GPU, products of convolutions are rounded to TF32.
    #[default]
    #[serde(rename = "f32")]
    Float32,
    /// Half precision: weights and activations take half the memory.
    #[serde(rename = "f16")]
    Float16,
}

/// Search for convolution algorithms on a GPU: `heuristic` or `exhaustive`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConvolutionSearch {
    /// cuDNN's heuristics, without measuring.
    #[default]
    Heuristic,
    /// Measures all algorithms when a shape occurs for the first time.
    Exhaustive,
}

/// Implementation of convolutions on a processor: `own` or `onnxruntime`.
///
/// Applies to provider `native` in single precision only.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Convolutions {
    /// This program's, on supported processors where they are faster.
    #[default]
    Own,
    /// ONNX Runtime's own.
    OnnxRuntime,
}

/// A text that is not a valid choice.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the {what} is {found:?}, expected {expected}")]
pub struct ParseOptionError {
    /// Name of the option.
    pub what: &'static str,
    pub found: String,
    pub expected: &'static str,
}

impl fmt::Display for InferencePrecision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Float32 => "f32",
            Self::Float16 => "f16",
        })
    }
}

impl FromStr for InferencePrecision {
    type Err = ParseOptionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "f32" => Ok(Self::Float32),
            "f16" => Ok(Self::Float16),
            _ => Err(ParseOptionError {
                what: "precision",
                found: text.into(),
                expected: "`f32` or `f16`",
            }),
        }
    }
}

impl fmt::Display for ConvolutionSearch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Heuristic => "heuristic",
            Self::Exhaustive => "exhaustive",
        })
    }
}

impl FromStr for ConvolutionSearch {
    type Err = ParseOptionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "heuristic" => Ok(Self::Heuristic),
            "exhaustive" => Ok(Self::Exhaustive),
            _ => Err(ParseOptionError {
                what: "convolution search",
                found: text.into(),
                expected: "`heuristic` or `exhaustive`",
            }),
        }
    }
}

impl fmt::Display for Convolutions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Own => "own",
            Self::OnnxRuntime => "onnxruntime",
        })
    }
}

impl FromStr for Convolutions {
    type Err = ParseOptionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "own" => Ok(Self::Own),
            "onnxruntime" => Ok(Self::OnnxRuntime),
            _ => Err(ParseOptionError {
                what: "choice of convolutions",
                found: text.into(),
                expected: "`own` or `onnxruntime`",
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_written_as_they_are_read() {
        for text in ["f32", "f16"] {
            assert_eq!(
                text.parse::<InferencePrecision>().unwrap().to_string(),
                text
            );
        }
        for text in ["heuristic", "exhaustive"] {
            assert_eq!(text.parse::<ConvolutionSearch>().unwrap().to_string(), text);
        }
        for text in ["own", "onnxruntime"] {
            assert_eq!(text.parse::<Convolutions>().unwrap().to_string(), text);
        }
        assert!("ours".parse::<Convolutions>().is_err());
        assert!("fp16".parse::<InferencePrecision>().is_err());
        assert_eq!(
            "default"
                .parse::<ConvolutionSearch>()
                .unwrap_err()
                .to_string(),
            "the convolution search is \"default\", expected `heuristic` or `exhaustive`"
        );
    }
}
