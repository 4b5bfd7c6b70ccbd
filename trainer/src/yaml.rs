//! YAML from files and command lines, decoded within bounds of size and nesting.

use serde::de::DeserializeOwned;
use thiserror::Error;
use vesal_files::yaml::{self, YamlError};

/// Why a text does not become data.
#[derive(Debug, Error)]
pub enum YamlReadError {
    /// It could take for ever to decode.
    #[error(transparent)]
    Bounds(#[from] YamlError),
    /// Not YAML, or other data.
    #[error(transparent)]
    Form(#[from] serde_yaml_ng::Error),
}

impl YamlReadError {
    /// What the reader can do about it, where it does not depend on what the text is to be.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Bounds(error) => Some(error.hint()),
            Self::Form(_) => None,
        }
    }
}

/// Decodes a text of at most `limit_bytes`.
///
/// **Errors**: [`YamlReadError`].
pub(crate) fn from_slice<T: DeserializeOwned>(
    bytes: &[u8],
    limit_bytes: u64,
) -> Result<T, YamlReadError> {
    yaml::check(bytes, limit_bytes)?;
    Ok(serde_yaml_ng::from_slice(bytes)?)
}
