//! Names of classes.

use serde_json::Value;
use vesal_bundle::deploy_plan::Label;

use vesal_models::monai::{Arguments, ArgumentsError};

/// Default name of class 0.
const BACKGROUND: &str = "background";

/// A class by its name, with the labels of the training data that it consists of, if stated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassName {
    pub name: String,
    pub index: Option<Vec<u16>>,
}

/// Reads `class_names`: texts, or dictionaries with a `name` and optionally an `index`.
pub(super) fn read(config: &Arguments<'_>) -> Result<Option<Vec<ClassName>>, ArgumentsError> {
    let names = match config.get("class_names") {
        None => return Ok(None),
        Some(Value::Array(names)) => names,
        Some(_) => return Err(config.broken("class_names", "a list of names")),
    };
    let label = |value: &Value| value.as_u64().and_then(|value| u16::try_from(value).ok());
    let class = |value: &Value| match value {
        Value::String(name) => Some(ClassName {
            name: name.clone(),
            index: None,
        }),
        Value::Object(class) => Some(ClassName {
            name: class.get("name")?.as_str()?.to_owned(),
            index: match class.get("index") {
                None => None,
                Some(index) => Some(index.as_array()?.iter().map(label).collect::<Option<_>>()?),
            },
        }),
        _ => None,
    };
    names
        .iter()
        .map(class)
        .collect::<Option<Vec<_>>>()
        .map(Some)
        .ok_or_else(|| config.broken("class_names", "a list of names"))
}

/// Labels of this many classes, valued by class index: named by `names`, with a background before them if there is one
/// name fewer.
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
    let labels = names.into_iter().enumerate();
    let label = |(class, name): (usize, String)| Label::new(name.trim(), value(class), class);
    Some(labels.map(label).collect())
}

/// Regions of this many outputs, each valued by a bit.
pub(super) fn name_regions(classes: &[ClassName], outputs: usize) -> Option<Vec<Label>> {
    let region = |(class_index, class): (usize, &ClassName)| Label {
        index: class.index.clone(),
        ..Label::new(class.name.trim(), bit(class_index), class_index)
    };
    (classes.len() == outputs).then(|| classes.iter().enumerate().map(region).collect())
}

/// Default labels of unnamed classes.
pub(super) fn number_classes(classes: usize) -> Vec<Label> {
    let name = |class| match class {
        0 => BACKGROUND.to_owned(),
        _ => format!("class {class}"),
    };
    let label = |class| Label::new(name(class), value(class), class);
    (0..classes).map(label).collect()
}

/// Default regions of unnamed classes.
pub(super) fn number_regions(outputs: usize) -> Vec<Label> {
    let region = |class| Label::new(format!("region {}", class + 1), bit(class), class);
    (0..outputs).map(region).collect()
}

/// The value of a class: its index.
fn value(class_index: usize) -> u16 {
    u16::try_from(class_index).unwrap_or(u16::MAX)
}

/// The bit of a region; 0, which no plan accepts, for more regions than a label map has bits.
fn bit(class_index: usize) -> u16 {
    1_u16.checked_shl(class_index as u32).unwrap_or(0)
}
