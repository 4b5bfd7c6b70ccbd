//! Configurations as MONAI writes them: JSON or YAML whose texts refer to other values, or are code.
//!
//! Texts such as `@training#roi_size` are replaced by the value that they name. Texts that begin with `$` are Python, of which
//! none is run: those that only name a value or are a plain constant are replaced, all others stay texts, so that a reader that
//! needs the value refuses them.

mod bounded;
mod read;

use std::path::PathBuf;

use serde_json::{Map, Number, Value};
use thiserror::Error;
use vesal_files::yaml::YamlError;

use bounded::{MAX_DEPTH, MAX_VALUES};
pub(super) use read::read;

/// Why a configuration cannot be read.
#[derive(Debug, Error)]
pub enum ConfigurationError {
    #[error("cannot read `{}`", path.display())]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    /// More bytes, brackets or directives than the limits allow.
    #[error("`{}` exceeds what is read", path.display())]
    Bounds { path: PathBuf, source: YamlError },
    /// Neither JSON nor YAML, or too many values.
    #[error("`{}` is no configuration", path.display())]
    Form {
        path: PathBuf,
        source: serde_yaml_ng::Error,
    },
    /// Not JSON, or too many values.
    #[error("`{}` is no configuration", path.display())]
    Json {
        path: PathBuf,
        source: serde_json::Error,
    },
    /// A key that changes another one: MONAI's `a#b`, `+a` and `~a`.
    #[error("`{}` changes another setting by the key `{}`, which is not read", path.display(), key.escape_debug())]
    Override { path: PathBuf, key: String },
    /// A list or a single value.
    #[error("`{}` has no keys, expected a mapping", path.display())]
    NoMapping { path: PathBuf },
    /// A reference to nothing.
    #[error("the configuration refers to `{key}`, which it does not have")]
    Unknown { key: String },
    /// References that refer to each other, or too deep a nesting.
    #[error("the configuration has more than {MAX_DEPTH} levels at `{key}`, references included")]
    Depth { key: String },
    /// References that multiply.
    #[error("the value of `{key}` has more than {MAX_VALUES} parts, references included")]
    Size { key: String },
}

impl ConfigurationError {
    /// A remedy for the user, if there is one.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Bounds { source, .. } => Some(source.hint()),
            Self::Override { .. } => {
                Some("write the value in its place: `{\"a\": {\"b\": 1}}` for `{\"a#b\": 1}`")
            }
            _ => None,
        }
    }
}

/// The values of one or more files.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Configuration {
    root: Map<String, Value>,
}

impl Configuration {
    #[cfg(test)]
    pub fn new(root: Map<String, Value>) -> Self {
        Self { root }
    }

    /// The value at a key such as `training#roi_size`, with all references replaced; absent and null are the same.
    ///
    /// **Errors**: a reference to nothing, or without end.
    pub fn get(&self, key: &str) -> Result<Option<Value>, ConfigurationError> {
        let Some(value) = self.at(key) else {
            return Ok(None);
        };
        let mut left = MAX_VALUES;
        let value = self.resolve(key, value, MAX_DEPTH, &mut left)?;
        Ok((!value.is_null()).then_some(value))
    }

    /// The first of several keys that has a value.
    ///
    /// **Errors**: as [`get`](Self::get).
    pub fn first(&self, keys: &[&str]) -> Result<Option<Value>, ConfigurationError> {
        for key in keys {
            if let Some(value) = self.get(key)? {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    /// All values with all references replaced, absent ones left out; the limit of their number is one for all.
    ///
    /// **Errors**: as [`get`](Self::get).
    pub fn all(&self) -> Result<Map<String, Value>, ConfigurationError> {
        let mut left = MAX_VALUES;
        let mut all = Map::new();
        for (key, value) in &self.root {
            let value = self.resolve(key, value, MAX_DEPTH, &mut left)?;
            if !value.is_null() {
                all.insert(key.clone(), value);
            }
        }
        Ok(all)
    }

    fn at(&self, key: &str) -> Option<&Value> {
        let key = key.replace("::", "#");
        let mut parts = key.split('#');
        let mut value = self.root.get(parts.next()?)?;
        for part in parts {
            value = match value {
                Value::Object(map) => map.get(part)?,
                Value::Array(items) => items.get(part.parse::<usize>().ok()?)?,
                _ => return None,
            };
        }
        Some(value)
    }

    fn resolve(
        &self,
        key: &str,
        value: &Value,
        depth: usize,
        left: &mut usize,
    ) -> Result<Value, ConfigurationError> {
        let too_many = || ConfigurationError::Size { key: key.into() };
        *left = left.checked_sub(1).ok_or_else(too_many)?;
        let deeper = depth
            .checked_sub(1)
            .ok_or_else(|| ConfigurationError::Depth { key: key.into() })?;
        Ok(match value {
            Value::String(text) => match meaning(text) {
                Meaning::Reference(named) => {
                    let unknown = || ConfigurationError::Unknown { key: named.into() };
                    let value = self.at(named).ok_or_else(unknown)?;
                    self.resolve(named, value, deeper, left)?
                }
                Meaning::Constant(value) => value,
                Meaning::Text => {
                    *left = left.checked_sub(text.len()).ok_or_else(too_many)?;
                    value.clone()
                }
            },
            Value::Array(items) => {
                let items = items.iter();
                let items = items.map(|item| self.resolve(key, item, deeper, left));
                Value::Array(items.collect::<Result<_, _>>()?)
            }
            Value::Object(map) => {
                let mut resolved = Map::new();
                for (name, value) in map {
                    *left = left.checked_sub(name.len()).ok_or_else(too_many)?;
                    resolved.insert(name.clone(), self.resolve(key, value, deeper, left)?);
                }
                Value::Object(resolved)
            }
            other => other.clone(),
        })
    }
}

/// What a text of a configuration stands for.
#[derive(Debug, PartialEq)]
enum Meaning<'a> {
    /// The value of this key.
    Reference(&'a str),
    Constant(Value),
    /// Itself, or code that is not run.
    Text,
}

fn meaning(text: &str) -> Meaning<'_> {
    let is_key = |key: &str| {
        !key.is_empty()
            && !key.starts_with(['#', ':'])
            && key
                .chars()
                .all(|c| c.is_alphanumeric() || matches!(c, '_' | '#' | ':'))
    };
    let reference = |text: &'_ str| text.strip_prefix('@').is_some_and(is_key);
    if reference(text) {
        return Meaning::Reference(&text[1..]);
    }
    let Some(code) = text.strip_prefix('$').map(str::trim) else {
        return Meaning::Text;
    };
    match code {
        "True" => Meaning::Constant(Value::Bool(true)),
        "False" => Meaning::Constant(Value::Bool(false)),
        "None" => Meaning::Constant(Value::Null),
        code if reference(code) => Meaning::Reference(&code[1..]),
        code => match code.parse::<Number>() {
            Ok(number) => Meaning::Constant(Value::Number(number)),
            Err(_) => Meaning::Text,
        },
    }
}

#[cfg(test)]
mod tests;
