//! Reads the weights of networks from files, without executing code.
//!
//! A checkpoint of PyTorch is an archive ([`ArchiveError`]) of a pickle ([`PickleError`]) and of raw bytes; [`Checkpoint`] has its
//! named tensors and the configuration of its training. [`from_safetensors`] reads tensors alone; [`read`] tells by their first
//! bytes which of both files are.

mod archive;
mod checkpoint;
mod pickle;
mod state_dict;
mod stored;

use std::io;
use std::path::Path;

use thiserror::Error;
use vesal_files::regular;

pub use archive::ArchiveError;
pub use checkpoint::{Checkpoint, CheckpointError};
pub use pickle::PickleError;
pub use state_dict::StateDict;
pub use stored::{SafetensorsError, from_safetensors};

/// First bytes of a ZIP archive.
const ARCHIVE: &[u8] = b"PK\x03\x04";

/// Why a file of weights cannot be read.
#[derive(Debug, Error)]
pub enum WeightsFileError {
    #[error("the file cannot be read")]
    Read(#[from] io::Error),
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error(transparent)]
    Safetensors(#[from] SafetensorsError),
}

impl WeightsFileError {
    /// A remedy for the user, if there is one.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Checkpoint(error) => error.hint(),
            Self::Safetensors(SafetensorsError::Form(_)) => Some(
                "expected weights of a training (safetensors), or a checkpoint as PyTorch 1.6 or later saves it",
            ),
            Self::Read(_) | Self::Safetensors(_) => None,
        }
    }
}

/// Reads the tensors of a checkpoint of PyTorch or of a safetensors file.
///
/// **Errors**: [`WeightsFileError`].
pub fn read(path: &Path) -> Result<StateDict, WeightsFileError> {
    let mut start = Vec::new();
    let file = regular::open(path)?;
    io::Read::read_to_end(&mut io::Read::take(file, ARCHIVE.len() as u64), &mut start)?;
    if start == ARCHIVE {
        Ok(Checkpoint::read(path)?.tensors)
    } else {
        Ok(from_safetensors(&regular::read(path)?)?)
    }
}
