//! Formats values of a task for errors.

use serde_yaml_ng::Value;

/// A value as one line of YAML.
pub(super) fn describe(value: &Value) -> String {
    match value {
        Value::Null => "empty".to_owned(),
        Value::Bool(found) => found.to_string(),
        Value::Number(found) => found.to_string(),
        Value::String(found) => format!("{found:?}"),
        Value::Sequence(items) => format!("a list of {}", items.len()),
        Value::Mapping(entries) => format!("a mapping of {}", entries.len()),
        Value::Tagged(tagged) => format!("tagged {}", tagged.tag),
    }
}
