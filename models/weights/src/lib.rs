//! Reads the weights of networks from files, without executing code.
//!
//! A checkpoint of PyTorch is an archive ([`ArchiveError`]) of a pickle ([`PickleError`]) and of raw bytes; [`Checkpoint`] has its
//! named tensors and the configuration of its training.

mod archive;
mod checkpoint;
mod pickle;

use std::collections::BTreeMap;

use burn::tensor::TensorData;

pub use archive::ArchiveError;
pub use checkpoint::{Checkpoint, CheckpointError};
pub use pickle::PickleError;

/// Tensors of 32-bit floats by parameter path.
pub type StateDict = BTreeMap<String, TensorData>;
