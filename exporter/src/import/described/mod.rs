//! Inference as configurations of MONAI describe it: lists of transforms, an inferer, and names of classes.

mod component;
mod inferer;
mod outputs;
mod transforms;

pub use component::ComponentError;
pub(super) use inferer::StatedWindows;
pub(super) use outputs::{Inverted, StatedOutputs};
pub(super) use transforms::Preparation;
