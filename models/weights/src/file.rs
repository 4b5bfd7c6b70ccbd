//! Files of weights, whatever their format.

use std::io::{self, Read};
use std::path::Path;

use thiserror::Error;
use vesal_files::regular;

use crate::checkpoint::{self, Checkpoint};
use crate::error::CheckpointError;
use crate::header::WeightsHeader;
use crate::state_dict::StateDict;
use crate::stored::{self, SafetensorsError, from_safetensors};

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
    if is_archive(path)? {
        Ok(Checkpoint::read(path)?.tensors)
    } else {
        Ok(from_safetensors(&regular::read(path)?)?)
    }
}

/// Reads the shapes of the tensors that [`read`] gives.
///
/// **Errors**: [`WeightsFileError`], as far as it does not depend on the tensors' values.
pub fn read_header(path: &Path) -> Result<WeightsHeader, WeightsFileError> {
    if is_archive(path)? {
        return Ok(checkpoint::read_header(path)?);
    }
    let shapes = stored::shapes(&regular::read(path)?)?;
    let choice = None;
    Ok(WeightsHeader { shapes, choice })
}

fn is_archive(path: &Path) -> io::Result<bool> {
    let mut start = Vec::new();
    let file = regular::open(path)?;
    file.take(ARCHIVE.len() as u64).read_to_end(&mut start)?;
    Ok(start == ARCHIVE)
}
