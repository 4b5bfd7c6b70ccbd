//! Why a network is not lowered.

use thiserror::Error;
use vesal_network::WindowSizeError;
use vesal_onnx::check::CheckError;
use vesal_onnx::ops::MAX_INDICES;

/// A window with more values than the indices of one operation may name in a file.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "the network rearranges {found} values of a window of {window:?} voxels by indices, expected at most {MAX_INDICES}"
)]
pub struct TooManyIndices {
    /// Window in voxels.
    pub window: [usize; 3],
    pub found: usize,
}

/// Why a network cannot be lowered.
#[derive(Debug, Error)]
pub enum LowerError {
    /// The window does not fit the network.
    #[error(transparent)]
    Window(#[from] WindowSizeError),
    #[error(transparent)]
    Indices(#[from] TooManyIndices),
    /// A layer whose padding depends on its input.
    #[error("layer `{layer}` has implicit padding, expected explicit padding")]
    ImplicitPadding { layer: String },
    /// A parameter that the network does not list.
    #[error("a {operator} layer has a parameter that the network does not list among its own")]
    UnknownParameter { operator: &'static str },
    /// A parameter that cannot be read as 32-bit floats.
    #[error("parameter `{parameter}` cannot be read as 32-bit floats")]
    Parameter { parameter: String },
    /// A parameter that is not a number.
    #[error("parameter `{parameter}` has a value that is infinite or not a number")]
    NotFinite { parameter: String },
    /// A forward pass without a single output.
    #[error("the network gives {found} outputs at input resolution, expected 1")]
    Outputs { found: usize },
    /// The graph breaks a rule of ONNX.
    #[error("the lowered network breaks a rule of ONNX")]
    Check(#[from] CheckError),
}
