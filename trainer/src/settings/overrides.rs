//! Parsing of settings from `task.yaml` and `--set NAME=VALUE`.

use serde_yaml_ng::{Mapping, Value};
use thiserror::Error;

use super::registry::{self, Overrides};
use super::setting::OutOfRange;
use super::value::Type;
use super::{suggest, words};
use crate::yaml::{self, YamlReadError};

/// Longest value of a setting in bytes.
const MAX_VALUE_BYTES: u64 = 1 << 16;

/// Most characters of a value in a message.
const MAX_SHOWN: usize = 60;

#[derive(Debug, Error)]
pub enum OverrideError {
    /// The name of no setting.
    #[error("`{name}` is no setting{}; settings are: {}", suggest::phrase(suggestion), Overrides::NAMES.join(", "))]
    Unknown {
        name: String,
        /// The most similar name of a setting.
        suggestion: Option<&'static str>,
    },
    /// The text is not `NAME=VALUE`.
    #[error("{found:?} sets nothing, expected NAME=VALUE")]
    Form { found: String },
    /// The value is not YAML.
    #[error("the value of `{name}` is no YAML")]
    Yaml { name: String, source: YamlReadError },
    /// The value has another type.
    #[error("`{name}` is {found}, expected {expected}")]
    Kind {
        name: String,
        /// The value, shortened.
        found: String,
        expected: String,
    },
    /// The value is out of range.
    #[error(transparent)]
    Range(#[from] OutOfRange),
}

impl OverrideError {
    /// An unknown name, with the most similar one of a setting.
    pub fn unknown(name: &str) -> Self {
        Self::Unknown {
            name: name.to_owned(),
            suggestion: suggest::closest(name, registry::spellings()),
        }
    }
}

impl Overrides {
    /// Sets a value by name; a null value leaves the setting to the rules again. Flags may be `yes`, `on`, `no` and `off`.
    ///
    /// **Errors**: [`OverrideError`]; the settings are then unchanged.
    pub fn set(&mut self, name: &str, value: Value) -> Result<(), OverrideError> {
        let Some(setting) = registry::find(name) else {
            return Err(OverrideError::unknown(name));
        };
        let value = match yaml::flag(&value) {
            Some(flag) if setting.value_type() == Type::Flag => Value::Bool(flag),
            _ => value,
        };
        let found = serde_json::to_string(&value).unwrap_or_else(|_| "another value".into());
        let kind = |_| OverrideError::Kind {
            name: name.to_owned(),
            found: found.chars().take(MAX_SHOWN).collect(),
            expected: words::value_of(setting),
        };
        let mut entries: Mapping = serde_yaml_ng::to_value(&*self)
            .and_then(serde_yaml_ng::from_value)
            .map_err(kind)?;
        entries.insert(setting.definition().name.into(), value);
        let changed: Self = serde_yaml_ng::from_value(entries.into()).map_err(kind)?;
        changed.check()?;
        *self = changed;
        Ok(())
    }

    /// Sets a value from `NAME=VALUE`, where the value is YAML.
    ///
    /// **Errors**: as [`set`](Self::set).
    ///
    /// **Examples**
    ///
    /// ```
    /// # use vesal_trainer::settings::Overrides;
    /// let mut overrides = Overrides::default();
    /// overrides.set_text("roi_size=[32, 48, 32]").unwrap();
    /// assert_eq!(overrides.roi_size, Some([32, 48, 32]));
    /// ```
    pub fn set_text(&mut self, text: &str) -> Result<(), OverrideError> {
        let (name, value) = text.split_once('=').ok_or_else(|| OverrideError::Form {
            found: text.to_owned(),
        })?;
        let name = name.trim();
        let value = yaml::from_slice(value.as_bytes(), MAX_VALUE_BYTES).map_err(|source| {
            OverrideError::Yaml {
                name: name.to_owned(),
                source,
            }
        })?;
        self.set(name, value)
    }
}

#[cfg(test)]
mod tests;
