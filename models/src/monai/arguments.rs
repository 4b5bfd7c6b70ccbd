//! Typed access to the dictionaries of MONAI's configurations.

use serde_json::{Map, Value};
use thiserror::Error;

/// Why a configuration is not supported.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum ArgumentsError {
    /// A field of another type or out of range.
    #[error("the checkpoint's `{field}` is {found}, expected {expected}")]
    Field {
        /// Path of the field.
        field: String,
        found: String,
        /// The expected value.
        expected: &'static str,
    },
    /// A feature that bundles do not have.
    #[error(
        "the checkpoint has `{field}` = {found}, which a bundle cannot express; expected {expected}"
    )]
    Unsupported {
        /// Path of the field.
        field: String,
        found: String,
        /// The supported values.
        expected: &'static str,
    },
}

/// The fields of a dictionary, with references `@name` to top-level fields resolved.
#[derive(Clone, Copy)]
pub struct Arguments<'a> {
    pub path: &'static str,
    pub map: &'a Map<String, Value>,
    pub root: &'a Map<String, Value>,
}

impl<'a> Arguments<'a> {
    /// A field; null is not a field.
    pub fn get(&self, field: &str) -> Option<&'a Value> {
        let value = match self.map.get(field)? {
            Value::String(text) if text.starts_with('@') => self.root.get(&text[1..])?,
            value => value,
        };
        (!value.is_null()).then_some(value)
    }

    fn read<T>(
        &self,
        field: &str,
        expected: &'static str,
        read: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, ArgumentsError> {
        match self.get(field) {
            None => Ok(None),
            Some(value) => read(value)
                .map(Some)
                .ok_or_else(|| self.broken(field, expected)),
        }
    }

    pub fn broken(&self, field: &str, expected: &'static str) -> ArgumentsError {
        ArgumentsError::Field {
            field: self.path_of(field),
            found: self.show(field),
            expected,
        }
    }

    pub fn unsupported(&self, field: &str, expected: &'static str) -> ArgumentsError {
        ArgumentsError::Unsupported {
            field: self.path_of(field),
            found: self.show(field),
            expected,
        }
    }

    /// Refuses arguments other than these; null is none.
    ///
    /// **Errors**: [`ArgumentsError::Unsupported`] for the first other one.
    pub fn allow(&self, names: &[&str]) -> Result<(), ArgumentsError> {
        // The name of the class, and what configurations say about it.
        const ALWAYS: [&str; 3] = ["_target_", "_desc_", "_requires_"];
        let known = |name: &str| ALWAYS.contains(&name) || names.contains(&name);
        let mut fields = self.map.iter();
        match fields.find(|(name, value)| !known(name) && !value.is_null()) {
            None => Ok(()),
            Some((name, _)) => Err(self.unsupported(name, "no such argument")),
        }
    }

    fn path_of(&self, field: &str) -> String {
        format!("{}.{field}", self.path)
    }

    /// Value of a field for messages, cut where it is long.
    fn show(&self, field: &str) -> String {
        let text = self
            .map
            .get(field)
            .map_or_else(|| "absent".to_owned(), Value::to_string);
        if text.chars().count() > 80 {
            text.chars().take(77).chain("...".chars()).collect()
        } else {
            text
        }
    }

    pub fn flag(&self, field: &str) -> Result<Option<bool>, ArgumentsError> {
        self.read(field, "true or false", flag)
    }

    pub fn text(&self, field: &str) -> Result<Option<&'a str>, ArgumentsError> {
        self.read(field, "a text", Value::as_str)
    }

    pub fn count(&self, field: &str) -> Result<Option<usize>, ArgumentsError> {
        self.read(field, "a whole number of at least 0", size)
    }

    pub fn counts(&self, field: &str) -> Result<Option<Vec<usize>>, ArgumentsError> {
        self.read(field, "a list of whole numbers", |value| {
            value.as_array()?.iter().map(size).collect()
        })
    }

    pub fn sizes(&self, field: &str) -> Result<Option<[usize; 3]>, ArgumentsError> {
        self.read(field, "three whole numbers", |value| {
            value
                .as_array()?
                .iter()
                .map(size)
                .collect::<Option<Vec<_>>>()?
                .try_into()
                .ok()
        })
    }

    pub fn numbers<const N: usize>(&self, field: &str) -> Result<Option<[f64; N]>, ArgumentsError> {
        self.read(
            field,
            if N == 2 {
                "two numbers"
            } else {
                "three numbers"
            },
            numbers,
        )
    }

    pub fn numbers_or_one(&self, field: &str) -> Result<Option<[f64; 3]>, ArgumentsError> {
        self.read(field, "a number or three", |value| {
            value
                .as_f64()
                .map(|one| [one; 3])
                .or_else(|| numbers(value))
        })
    }

    pub fn choice<T>(
        &self,
        field: &str,
        expected: &'static str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, ArgumentsError> {
        match self.text(field)? {
            None => Ok(None),
            Some(text) => read(&text.to_ascii_lowercase())
                .map(Some)
                .ok_or_else(|| self.unsupported(field, expected)),
        }
    }
}

/// The truth value that a reader of YAML 1.1, as MONAI's is, takes a value for.
///
/// **Source**: PyYAML 6 `Resolver`; the texts are those of YAML 1.2 readers, which know `true` and `false` alone.
pub fn flag(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(value) => Some(*value),
        Value::String(text) => match text.as_str() {
            "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Some(true),
            "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

fn size(value: &Value) -> Option<usize> {
    value.as_u64().and_then(|size| usize::try_from(size).ok())
}

fn numbers<const N: usize>(value: &Value) -> Option<[f64; N]> {
    value
        .as_array()?
        .iter()
        .map(Value::as_f64)
        .collect::<Option<Vec<_>>>()?
        .try_into()
        .ok()
}

/// Name of a class of MONAI without its modules; none for classes of other packages.
pub fn class_of(target: &str) -> Option<&str> {
    match target.rsplit_once('.') {
        None => Some(target),
        Some((modules, class)) => (modules.split('.').next() == Some("monai")).then_some(class),
    }
}
