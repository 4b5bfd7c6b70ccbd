//! Reads the weights of networks from files, without executing code.
//!
//! A checkpoint of PyTorch is an archive ([`ArchiveError`]) of a pickle ([`PickleError`]) and of raw bytes; [`Checkpoint`] has its
//! named tensors and the configuration of its training. [`from_safetensors`] reads tensors alone; [`read`] tells by their first
//! bytes which of both files are.

mod archive;
mod checkpoint;
mod directory;
mod error;
mod file;
mod pickle;
mod state_dict;
mod stored;
mod tensors;

pub use archive::ArchiveError;
pub use checkpoint::Checkpoint;
pub use directory::DirectoryError;
pub use error::CheckpointError;
pub use file::{WeightsFileError, read};
pub use pickle::PickleError;
pub use state_dict::StateDict;
pub use stored::{SafetensorsError, from_safetensors};
