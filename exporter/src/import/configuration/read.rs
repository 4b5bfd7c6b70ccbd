//! Reading configurations from files.

use std::cell::Cell;
use std::path::{Path, PathBuf};

use serde::de::DeserializeSeed;
use serde_json::{Map, Value};
use vesal_files::yaml::YamlError;
use vesal_files::{regular, yaml};

use super::bounded::{Bounded, MAX_DEPTH, MAX_VALUES};
use super::{Configuration, ConfigurationError};

const MAX_FILE_BYTES: u64 = 1 << 20;

/// Reads files into one configuration, in which a key of a later file replaces that of an earlier one, as MONAI's
/// `ConfigParser` does. As there, the ending `.json` tells JSON, all other files are YAML.
///
/// **Errors**: [`ConfigurationError`].
pub(crate) fn read(files: &[PathBuf]) -> Result<Configuration, ConfigurationError> {
    let mut root = Map::new();
    for path in files {
        let found = read_file(path)?;
        if let Some(key) = found.keys().find(|key| is_override(key)) {
            return Err(ConfigurationError::Override {
                path: path.to_path_buf(),
                key: key.chars().take(80).collect(),
            });
        }
        root.extend(found);
    }
    Ok(Configuration { root })
}

/// Whether a key stands for a place in another value, or for a change of it.
fn is_override(key: &str) -> bool {
    key.starts_with(['+', '~']) || key.contains('#') || key.contains("::")
}

fn read_file(path: &Path) -> Result<Map<String, Value>, ConfigurationError> {
    let at = || path.to_path_buf();
    let bytes = regular::read_up_to(path, MAX_FILE_BYTES)
        .map_err(|source| ConfigurationError::Read { path: at(), source })?;
    let left = Cell::new(MAX_VALUES);
    let seed = Bounded {
        left: &left,
        depth: MAX_DEPTH,
    };
    let ending = path.extension().unwrap_or_default();
    let value = if ending.eq_ignore_ascii_case("json") {
        if bytes.len() as u64 > MAX_FILE_BYTES {
            let limit_bytes = MAX_FILE_BYTES;
            let source = YamlError::TooLarge { limit_bytes };
            return Err(ConfigurationError::Bounds { path: at(), source });
        }
        from_json(&bytes, seed).map_err(|source| ConfigurationError::Json { path: at(), source })?
    } else {
        yaml::check(&bytes, MAX_FILE_BYTES)
            .map_err(|source| ConfigurationError::Bounds { path: at(), source })?;
        seed.deserialize(serde_yaml_ng::Deserializer::from_slice(&bytes))
            .map_err(|source| ConfigurationError::Form { path: at(), source })?
    };
    match value {
        Value::Object(map) => Ok(map),
        _ => Err(ConfigurationError::NoMapping { path: at() }),
    }
}

fn from_json(bytes: &[u8], seed: Bounded<'_>) -> Result<Value, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = seed.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}
