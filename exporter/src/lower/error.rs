//! Why a network is not lowered.

use thiserror::Error;
use vesal_network::WindowSizeError;
use vesal_onnx::check::CheckError;

/// Why a network cannot be lowered.
#[derive(Debug, Error)]
pub enum LowerError {
    /// The window does not fit the network.
    #[error(transparent)]
    Window(#[from] WindowSizeError),
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
