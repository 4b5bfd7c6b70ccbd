//! YAML from files and command lines, decoded with limits of size and nesting.

use serde::de::DeserializeOwned;
use serde_yaml_ng::Value;
use thiserror::Error;
use vesal_files::yaml::{self, YamlError};

/// Why a text cannot be decoded.
#[derive(Debug, Error)]
pub enum YamlReadError {
    /// The text exceeds the limits.
    #[error(transparent)]
    Bounds(#[from] YamlError),
    /// The text is not YAML, or has another structure.
    #[error(transparent)]
    Form(#[from] serde_yaml_ng::Error),
}

impl YamlReadError {
    /// Advice that does not depend on the expected data.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Bounds(error) => Some(error.hint()),
            Self::Form(_) => None,
        }
    }
}

/// The truth value of a boolean, or of a text that is one in YAML 1.1, as Python's decoder reads it: `yes`, `off` and so on.
pub(crate) fn flag(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::String(text) => match text.to_ascii_lowercase().as_str() {
            "yes" | "on" | "true" => Some(true),
            "no" | "off" | "false" => Some(false),
            _ => None,
        },
        _ => None,
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
