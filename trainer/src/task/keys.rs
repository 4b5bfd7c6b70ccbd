//! Parsers of single keys of `task.yaml`.

use serde_yaml_ng::{Mapping, Value};
use vesal_bundle::deploy_plan::Modality;
use vesal_bundle::name;

use super::error::TaskError;
use super::value::describe;
use crate::algorithms::{self, Algorithm};
use crate::yaml;

pub(super) const MODALITY: &str = "modality";
pub(super) const DATALIST: &str = "datalist";
pub(super) const DATAROOT: &str = "dataroot";
pub(super) const CLASS_NAMES: &str = "class_names";

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

/// Parses a modality, or a list or mapping of the channels' modalities that are all the same.
pub(super) fn modality(key: &'static str, value: Value) -> Result<Modality, TaskError> {
    let values = match value {
        Value::Sequence(values) => values,
        Value::Mapping(entries) => entries.into_iter().map(|(_, value)| value).collect(),
        value => vec![value],
    };
    let names = values.into_iter().map(|value| text(key, value));
    let names: Vec<_> = names.collect::<Result<_, _>>()?;
    let mut modalities: Vec<Modality> = Vec::new();
    for found in &names {
        let modality = modality_named(found).ok_or_else(|| TaskError::Value {
            key,
            found: format!("`{found}`"),
            expected: "`ct`, `mri` or `pet`",
        })?;
        if !modalities.contains(&modality) {
            modalities.push(modality);
        }
    }
    match modalities.as_slice() {
        [modality] => Ok(*modality),
        [] => Err(TaskError::Missing { key }),
        _ => Err(TaskError::SeveralModalities { key, found: names }),
    }
}

/// The modality of this name, in any case; sequences of MR by which datasets name their channels are MR.
pub fn modality_named(name: &str) -> Option<Modality> {
    match name.trim().to_ascii_lowercase().as_str() {
        "ct" => Some(Modality::Ct),
        "mri" | "mr" | "t1" | "t1w" | "t1c" | "t1ce" | "t1gd" | "t1n" | "t2" | "t2w" | "t2f"
        | "flair" | "adc" | "dwi" => Some(Modality::Mri),
        "pet" | "pt" => Some(Modality::Pet),
        _ => None,
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

pub(super) fn sigmoid(value: Value) -> Result<bool, TaskError> {
    yaml::flag(&value).ok_or_else(|| TaskError::Value {
        key: "sigmoid",
        found: describe(&value),
        expected: "true or false",
    })
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
