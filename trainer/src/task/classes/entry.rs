//! Parser of single classes.

use std::collections::BTreeMap;

use serde_yaml_ng::{Mapping, Value};
use vesal_bundle::name;

use super::error::ClassError;
use crate::task::value::describe;

pub(super) const BACKGROUND: &str = "background";

/// Parses one class: its name, and its label values if they are given.
pub(super) fn class(
    position: usize,
    item: Value,
) -> Result<(String, Option<Vec<u16>>), ClassError> {
    let wrong = |found: String| ClassError::Item { position, found };
    let (name, index) = match item {
        Value::String(name) => (name, None),
        Value::Number(number) => (number.to_string(), None),
        Value::Mapping(mut entries) => {
            let name = match entries.remove("name") {
                Some(Value::String(name)) => name,
                _ => return Err(wrong(describe(&Value::Mapping(entries)))),
            };
            (name.clone(), Some(index(&name, &mut entries)?))
        }
        other => return Err(wrong(describe(&other))),
    };
    check_name(&name)?;
    Ok((name, index))
}

pub(super) fn check_name(name: &str) -> Result<(), ClassError> {
    name::check(name)?;
    match name.eq_ignore_ascii_case(BACKGROUND) {
        true => Err(ClassError::Background { name: name.into() }),
        false => Ok(()),
    }
}

/// Parses a mapping from label values to names, or from names to label values, without label 0.
pub(super) fn values(entries: Mapping) -> Result<BTreeMap<u16, String>, ClassError> {
    let mut names = BTreeMap::new();
    for (key, value) in entries {
        let entry = match (number(&key), &value) {
            (Some(label), Value::String(name)) => Some((label, name.clone())),
            (None, Value::Number(_)) => number(&value).zip(key.as_str().map(str::to_owned)),
            _ => None,
        };
        let Some((label, name)) = entry else {
            return Err(ClassError::Entry {
                key: describe(&key),
            });
        };
        if label > 0 && names.insert(label, name).is_some() {
            return Err(ClassError::TwiceValued { label });
        }
    }
    match names.is_empty() {
        true => Err(ClassError::List {
            found: "a mapping of label 0 alone".to_owned(),
        }),
        false => Ok(names),
    }
}

/// A label value, written as a number or as its digits.
fn number(value: &Value) -> Option<u16> {
    match value {
        Value::String(text) => text.parse().ok(),
        value => value.as_u64().and_then(|label| label.try_into().ok()),
    }
}

fn index(name: &str, entries: &mut Mapping) -> Result<Vec<u16>, ClassError> {
    let wrong = |found: String| ClassError::Index {
        name: name.to_owned(),
        found,
    };
    let labels = match entries.remove("index") {
        Some(Value::Sequence(labels)) => labels,
        Some(single @ Value::Number(_)) => vec![single],
        Some(other) => return Err(wrong(describe(&other))),
        None => return Err(wrong("absent".to_owned())),
    };
    let whole = |label: &Value| label.as_u64().and_then(|label| u16::try_from(label).ok());
    let found: Vec<u16> = labels.iter().filter_map(whole).collect();
    let mut distinct = found.clone();
    distinct.sort_unstable();
    distinct.dedup();
    if found.is_empty() || distinct.len() < labels.len() || distinct[0] == 0 {
        let labels: Vec<_> = labels.iter().map(describe).collect();
        return Err(wrong(format!("[{}]", labels.join(", "))));
    }
    Ok(distinct)
}

/// The error for the first label that two classes share.
pub(super) fn shared(names: &[String], index: &[Vec<u16>]) -> Option<ClassError> {
    let mut owners = BTreeMap::new();
    for (name, labels) in names.iter().zip(index) {
        for &label in labels {
            if let Some(first) = owners.insert(label, name) {
                return Some(ClassError::Overlap {
                    label,
                    first: first.clone(),
                    second: name.clone(),
                });
            }
        }
    }
    None
}
