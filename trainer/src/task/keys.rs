//! Parsers of single keys of `task.yaml`.

use serde_yaml_ng::{Mapping, Value};
use vesal_bundle::deploy_plan::Modality;
use vesal_bundle::name;

use super::error::TaskError;
use super::value::describe;
use crate::algorithms::{self, Algorithm};

pub(super) fn required(entries: &mut Mapping, key: &'static str) -> Result<Value, TaskError> {
    match entries.remove(key) {
        None | Some(Value::Null) => Err(TaskError::Missing { key }),
        Some(value) => Ok(value),
    }
}

pub(super) fn text(key: &'static str, value: Value) -> Result<String, TaskError> {
    match value {
        Value::String(text) if !text.is_empty() => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        other => Err(TaskError::Value {
            key,
            found: describe(&other),
            expected: "a text",
        }),
    }
}

/// Parses one name or a list of names.
pub(super) fn algos(value: Value) -> Result<Vec<&'static Algorithm>, TaskError> {
    let names = match value {
        Value::Sequence(names) => names,
        name => vec![name],
    };
    let names = names.into_iter().map(|name| text("algos", name));
    let names: Vec<_> = names.collect::<Result<_, _>>()?;
    Ok(algorithms::parse(names.iter().map(String::as_str))?)
}

pub(super) fn modality(key: &'static str, value: Value) -> Result<Modality, TaskError> {
    let found = text(key, value)?;
    match found.to_ascii_lowercase().as_str() {
        "ct" => Ok(Modality::Ct),
        "mri" | "mr" => Ok(Modality::Mri),
        "pet" | "pt" => Ok(Modality::Pet),
        _ => Err(TaskError::Value {
            key,
            found: format!("`{found}`"),
            expected: "`ct`, `mri` or `pet`",
        }),
    }
}

/// Keys of a datalist's items that are not secondary images.
const ITEM_KEYS: [&str; 4] = ["image", "label", "fold", "patient"];

pub(super) fn extra(value: Value) -> Result<Vec<(String, Modality)>, TaskError> {
    const KEY: &str = "extra_modalities";
    let entries = match value {
        Value::Mapping(entries) => entries,
        other => {
            return Err(TaskError::Value {
                key: KEY,
                found: describe(&other),
                expected: "a mapping such as `{image2: pet}`",
            });
        }
    };
    let entry = |(key, value): (Value, Value)| {
        let key = text(KEY, key)?;
        name::check(&key).map_err(|source| TaskError::Name { key: KEY, source })?;
        if ITEM_KEYS.contains(&key.as_str()) {
            return Err(TaskError::ExtraKey { key });
        }
        Ok((key, modality(KEY, value)?))
    };
    entries.into_iter().map(entry).collect()
}

pub(super) fn num_fold(value: Value) -> Result<usize, TaskError> {
    let whole = value.as_u64().and_then(|found| usize::try_from(found).ok());
    whole
        .filter(|&found| found > 0)
        .ok_or_else(|| TaskError::Value {
            key: "num_fold",
            found: describe(&value),
            expected: "a whole number from 1",
        })
}
