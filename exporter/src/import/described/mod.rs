//! Inference as configurations of MONAI describe it: lists of transforms, an inferer, and names of classes.

mod component;
mod inferer;
mod outputs;
mod transforms;

pub use component::ComponentError;
pub(super) use inferer::DescribedWindows;
pub(super) use outputs::DescribedOutputs;
pub(super) use transforms::Preparation;
