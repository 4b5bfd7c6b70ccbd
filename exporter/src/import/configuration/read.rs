//! Reading configurations from files.

use std::cell::Cell;
use std::path::{Path, PathBuf};

use serde::de::DeserializeSeed;
use serde_json::{Map, Value};
use vesal_files::{regular, yaml};

use super::bounded::{Bounded, MAX_DEPTH, MAX_VALUES};
use super::{Configuration, ConfigurationError};

const MAX_FILE_BYTES: u64 = 1 << 20;

/// Reads files into one configuration, in which a key of a later file replaces that of an earlier one, as MONAI's
/// `ConfigParser` does. JSON is read as the YAML that it is.
///
/// **Errors**: [`ConfigurationError`].
pub(crate) fn read(files: &[PathBuf]) -> Result<Configuration, ConfigurationError> {
    let mut root = Map::new();
    for path in files {
        root.extend(read_file(path)?);
    }
    Ok(Configuration { root })
}

fn read_file(path: &Path) -> Result<Map<String, Value>, ConfigurationError> {
    let at = || path.to_path_buf();
    let bytes = regular::read_up_to(path, MAX_FILE_BYTES)
        .map_err(|source| ConfigurationError::Read { path: at(), source })?;
    yaml::check(&bytes, MAX_FILE_BYTES)
        .map_err(|source| ConfigurationError::Bounds { path: at(), source })?;
    let left = Cell::new(MAX_VALUES);
    let seed = Bounded {
        left: &left,
        depth: MAX_DEPTH,
    };
    let value = seed.deserialize(serde_yaml_ng::Deserializer::from_slice(&bytes));
    match value.map_err(|source| ConfigurationError::Form { path: at(), source })? {
        Value::Object(map) => Ok(map),
        _ => Err(ConfigurationError::NoMapping { path: at() }),
    }
}
