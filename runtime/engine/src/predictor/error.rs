//! Why a network cannot be used.

use std::fmt;

use thiserror::Error;
use vesal_onnx::{CheckError, RewriteError};

use crate::cuda::CudaDriverError;
use crate::device::DeviceError;
use crate::options::InferencePrecision;
use crate::plugin::PluginError;

/// A shape with free axes, as in `[?, 1, 96, 96, 96]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AxisSizes(pub Vec<Option<usize>>);

impl fmt::Display for AxisSizes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sizes: Vec<String> = self
            .0
            .iter()
            .map(|size| size.map_or_else(|| "?".into(), |size| size.to_string()))
            .collect();
        write!(formatter, "[{}]", sizes.join(", "))
    }
}

/// Why a network cannot be used or fails.
#[derive(Debug, Error)]
pub enum PredictorError {
    /// Not a supported network.
    #[error("the network is refused")]
    Unknown(#[from] Box<CheckError>),
    /// Another operator set than the manifest states.
    #[error("the network has opset {}, expected {expected}", found.map_or("none".into(), |found| found.to_string()))]
    Opset { found: Option<i64>, expected: i64 },
    /// It cannot be computed in the requested precision.
    #[error("the network cannot be computed in {precision}")]
    Precision {
        precision: InferencePrecision,
        source: Box<RewriteError>,
    },
    #[error(transparent)]
    Cuda(#[from] CudaDriverError),
    #[error(transparent)]
    Plugin(PluginError),
    #[error("ONNX Runtime refuses the network")]
    Refused { source: ort::Error },
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// Inputs or outputs have other names, or there are several.
    #[error("the network's {what}s are {found:?}, expected only {expected:?}")]
    Names {
        what: &'static str,
        found: Vec<String>,
        /// The one name in the manifest.
        expected: String,
    },
    /// No tensor of `float32`.
    #[error("the network's {what} holds {found}, expected a tensor of f32")]
    ElementType { what: &'static str, found: String },
    /// A shape that the plan's windows do not fit.
    #[error("the network's {what} has shape {found}, the deploy plan needs {expected}")]
    Shape {
        what: &'static str,
        found: AxisSizes,
        expected: AxisSizes,
    },
    /// The input is not windows of the plan.
    #[error("the patches have shape {found:?}, the network takes {expected:?} after the batch")]
    Patches {
        found: [usize; 5],
        /// Channels and window.
        expected: [usize; 4],
    },
    /// No memory for its input and output.
    #[error("the network's input and output cannot be allocated")]
    Memory,
    #[error("the network fails")]
    Run { source: ort::Error },
    /// Its output has another shape than declared.
    #[error("the network's output has shape {found:?}, expected {expected:?}")]
    Output {
        found: Vec<usize>,
        expected: [usize; 5],
    },
    #[error("the network gives {values} values that are NaN or infinite")]
    NotFinite { values: usize },
}

impl PredictorError {
    /// A remedy for the user, if there is one.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Unknown(error) => error.hint(),
            Self::Device(error) => error.hint(),
            Self::Plugin(error) => error.hint(),
            Self::Precision { .. } => Some("every network runs in f32"),
            Self::Cuda(error) if error.is_out_of_memory() => {
                Some("`--batch 1` needs least memory on the GPU")
            }
            Self::Cuda(_) => Some("`vesal devices` lists what runs here"),
            Self::Run { .. } => Some("if memory is short, `--batch 1` needs least"),
            Self::Memory | Self::Patches { .. } | Self::Output { .. } | Self::NotFinite { .. } => {
                None
            }
            _ => Some("the bundle was put together wrongly: export it again"),
        }
    }
}
