//! Reads the weights of networks from files, without executing code.
//!
//! A checkpoint of PyTorch is an archive ([`ArchiveError`]) of a pickle ([`PickleError`]) and of raw bytes; [`Checkpoint`] has its
//! named tensors and the configuration of its training. [`from_safetensors`] reads tensors alone; [`read`] tells by their first
//! bytes which of both files are, and [`read_header`] the shapes of their tensors alone.

mod archive;
mod candidates;
mod checkpoint;
mod directory;
mod error;
mod file;
mod header;
mod pickle;
mod state_dict;
mod stored;
mod tensors;

pub use archive::ArchiveError;
pub use candidates::StateDictChoice;
pub use checkpoint::Checkpoint;
pub use directory::DirectoryError;
pub use error::CheckpointError;
pub use file::{WeightsFileError, read, read_header};
pub use header::WeightsHeader;
pub use pickle::PickleError;
pub use state_dict::StateDict;
pub use stored::{SafetensorsError, from_safetensors};
