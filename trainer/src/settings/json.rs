//! The registry as JSON, for programs, editors and searches.

use serde_json::{Map, Value, json};

use super::registry::all;
use super::setting::{AnySetting, Scale, Search};
use super::value::Type;

/// All settings with all their properties.
///
/// **Definition**: `{"format": "vesal-settings", "format_version": 1, "settings": [{"name", "aliases", "category",
/// "description", "type", "schema", "expected", "choices", "default", "rule", "example", "makes_another_run", "search"}]}`.
/// `default` is null where it depends on the data; `search` is null where a setting is not searched.
pub fn listing() -> Value {
    let settings = all().iter().map(|&setting| {
        let definition = setting.definition();
        let value_type = setting.value_type();
        let choices = value_type.choices().iter();
        let choices = choices.map(|choice| {
            json!({
                "name": choice.name,
                "aliases": choice.aliases,
                "description": choice.doc.trim(),
            })
        });
        json!({
            "name": definition.name,
            "aliases": definition.aliases,
            "category": definition.category.name(),
            "description": definition.sentence(),
            "type": value_type.name(),
            "schema": value_schema(setting),
            "expected": setting.expected(),
            "choices": choices.collect::<Vec<_>>(),
            "default": setting.fixed_default(),
            "rule": definition.rule,
            "example": definition.example,
            "makes_another_run": definition.same_run.is_none(),
            "search": domain(setting),
        })
    });
    json!({
        "format": "vesal-settings",
        "format_version": 1,
        "settings": settings.collect::<Vec<_>>(),
    })
}

/// JSON Schema of the settings in `task.yaml`; other keys of the task are not described.
pub fn schema() -> Value {
    let mut properties = Map::new();
    for &setting in all() {
        let definition = setting.definition();
        let mut schema = value_schema(setting);
        schema.insert("description".into(), json!(definition.sentence()));
        if let Some(default) = setting.fixed_default() {
            schema.insert("default".into(), default);
        }
        for &alias in definition.aliases {
            let mut other = schema.clone();
            let told = format!("Another name of `{}`.", definition.name);
            other.insert("description".into(), json!(told));
            properties.insert(alias.into(), other.into());
        }
        properties.insert(definition.name.into(), schema.into());
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Settings in task.yaml",
        "type": "object",
        "properties": properties,
    })
}

/// Search space by setting: type, bounds and scale, or names.
pub fn search_space() -> Value {
    let space: Map<_, _> = all()
        .iter()
        .filter_map(|&setting| Some((setting.definition().name.to_owned(), domain(setting)?)))
        .collect();
    json!({
        "format": "vesal-search-space",
        "format_version": 1,
        "settings": space,
    })
}

/// The schema of a value; null is allowed as well, and leaves the setting to the rules.
fn value_schema(setting: &dyn AnySetting) -> Map<String, Value> {
    let mut schema = setting.value_type().schema();
    setting.limits().add_to(&mut schema);
    if let Some(Value::String(kind)) = schema.get("type") {
        let kinds = json!([kind, "null"]);
        schema.insert("type".into(), kinds);
    }
    if let Some(Value::Array(names)) = schema.get_mut("enum") {
        names.push(Value::Null);
    }
    schema
}

/// The domain of a search, if the setting is searched.
fn domain(setting: &dyn AnySetting) -> Option<Value> {
    let value_type = setting.value_type();
    Some(match setting.definition().search? {
        Search::Range { low, high, scale } => {
            let bound = |limit: f64| match value_type {
                Type::Integer => json!(limit as i64),
                _ => json!(limit),
            };
            json!({
                "type": value_type.name(),
                "low": bound(low),
                "high": bound(high),
                "scale": match scale {
                    Scale::Linear => "linear",
                    Scale::Log => "log",
                },
            })
        }
        Search::All => {
            let names: Vec<_> = match value_type {
                Type::Flag => vec![json!(false), json!(true)],
                other => other
                    .choices()
                    .iter()
                    .map(|choice| json!(choice.name))
                    .collect(),
            };
            json!({"type": value_type.name(), "values": names})
        }
    })
}
