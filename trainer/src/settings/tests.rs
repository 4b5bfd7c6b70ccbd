//! Tests of the registry.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::*;

fn accepts(name: &str, value: &Value) -> bool {
    let value = serde_yaml_ng::to_value(value).unwrap();
    Overrides::default().set(name, value).is_ok()
}

#[test]
fn every_spelling_means_one_setting() {
    let mut seen = BTreeSet::new();
    for spelling in registry::spellings() {
        assert!(seen.insert(spelling), "{spelling}");
    }
}

#[test]
fn every_setting_is_documented() {
    for setting in all() {
        let definition = setting.definition();
        assert!(definition.sentence().ends_with('.'), "{}", definition.name);
        assert!(!definition.rule.is_empty(), "{}", definition.name);
    }
}

#[test]
fn limits_of_the_schema_are_those_that_are_checked() {
    let schema = schema();
    for setting in all() {
        let name = setting.definition().name;
        let value_type = setting.value_type();
        if !matches!(value_type, Type::Integer | Type::Number) {
            continue;
        }
        let property = &schema["properties"][name];
        let near = |limit: &Value, step: f64| match value_type {
            Type::Integer => json!(limit.as_i64().unwrap() + step as i64),
            _ => json!(limit.as_f64().unwrap() + step),
        };
        if let Some(limit) = property.get("minimum") {
            assert!(accepts(name, limit), "{name}");
            assert!(!accepts(name, &near(limit, -1.0)), "{name}");
        }
        if let Some(limit) = property.get("exclusiveMinimum") {
            assert!(!accepts(name, limit), "{name}");
            assert!(accepts(name, &near(limit, 1e-3)), "{name}");
        }
        if let Some(limit) = property.get("exclusiveMaximum") {
            assert!(!accepts(name, limit), "{name}");
            assert!(accepts(name, &near(limit, -1e-3)), "{name}");
        }
    }
}

#[test]
fn a_search_stays_within_the_range() {
    let space = search_space();
    let settings = space["settings"].as_object().unwrap();
    assert!(settings.contains_key("learning_rate"));
    for (name, domain) in settings {
        for bound in ["low", "high"] {
            if let Some(value) = domain.get(bound) {
                assert!(accepts(name, value), "{name}");
            }
        }
        for value in domain["values"].as_array().into_iter().flatten() {
            assert!(accepts(name, value), "{name}");
        }
    }
}
