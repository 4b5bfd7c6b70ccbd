//! Names of classes.

use serde_json::Value;
use vesal_bundle::deploy_plan::Label;

use super::settings::{Fields, SettingsError};

/// Name of class 0 where nothing names it.
const BACKGROUND: &str = "background";

/// Reads `class_names`: texts, or dictionaries with a `name`.
pub(super) fn read(config: &Fields<'_>) -> Result<Option<Vec<String>>, SettingsError> {
    let names = match config.get("class_names") {
        None => return Ok(None),
        Some(Value::Array(names)) => names,
        Some(_) => return Err(config.broken("class_names", "a list of names")),
    };
    let name = |value: &Value| match value {
        Value::String(name) => Some(name.clone()),
        Value::Object(class) => class.get("name")?.as_str().map(str::to_owned),
        _ => None,
    };
    names
        .iter()
        .map(name)
        .collect::<Option<Vec<_>>>()
        .map(Some)
        .ok_or_else(|| config.broken("class_names", "a list of names"))
}

/// Labels of this many classes, valued by class index: by the names if they are as many, with a background before
/// them if they are one fewer.
pub(super) fn name_classes(names: &[String], classes: usize) -> Option<Vec<Label>> {
    let names: Vec<String> = if names.len() == classes {
        names.to_vec()
    } else if names.len() + 1 == classes {
        std::iter::once(BACKGROUND.to_owned())
            .chain(names.iter().cloned())
            .collect()
    } else {
        return None;
    };
    Some(label(names))
}

/// Labels of classes that nothing names.
pub(super) fn number_classes(classes: usize) -> Vec<Label> {
    let name = |class| {
        if class == 0 {
            BACKGROUND.to_owned()
        } else {
            format!("class {class}")
        }
    };
    label((0..classes).map(name).collect())
}

fn label(names: Vec<String>) -> Vec<Label> {
    let labels = names.into_iter().enumerate();
    labels
        .map(|(class_index, name)| Label {
            name: name.trim().to_owned(),
            value: u16::try_from(class_index).unwrap_or(u16::MAX),
            class_index,
        })
        .collect()
}
