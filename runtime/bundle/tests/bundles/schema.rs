//! The schemas describe exactly what this code writes: same fields, and the written documents conform.

use crate::example;
use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};
use vesal_bundle::{DeployPlan, DicomRules};
use vesal_files::document;

fn schema(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("schema")
        .join(name);
    serde_json::from_slice(&std::fs::read(path).expect("schema")).expect("JSON")
}

fn keys(value: &Value) -> BTreeSet<String> {
    value
        .as_object()
        .map(|object| object.keys().cloned().collect())
        .unwrap_or_default()
}

/// Fields that are not written where they say nothing.
const OPTIONAL: [&str; 9] = [
    "restore",
    "version",
    "series_descriptions",
    "index",
    "code",
    "modifier",
    "color",
    "channels",
    "labels",
];

/// Validates against the part of JSON Schema that these schemas use, and requires besides that an object of fixed
/// fields has all of them but [`OPTIONAL`] ones: so the code writes exactly the fields that the schema describes.
fn conforms(root: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let fail = |rule: &str| Err(format!("{value} against {rule} of {schema}"));
    for (rule, limit) in schema.as_object().ok_or("a schema is an object")? {
        let number = value.as_f64();
        let length = value.as_str().map(|text| text.chars().count() as f64);
        let items = value.as_array().map(|items| items.len() as f64);
        let properties = value.as_object().map(|object| object.len() as f64);
        let at_least = |found: Option<f64>| {
            found.is_some_and(|found| found >= limit.as_f64().unwrap_or(f64::NAN))
        };
        let at_most = |found: Option<f64>| {
            found.is_some_and(|found| found <= limit.as_f64().unwrap_or(f64::NAN))
        };
        let holds = match rule.as_str() {
            "$schema" | "title" | "$defs" => true,
            "$ref" => {
                let reference = limit.as_str().ok_or("a reference is a text")?;
                let (file, pointer) = reference.split_once('#').ok_or("a place in a file")?;
                let other = (!file.is_empty()).then(|| self::schema(file));
                let root = other.as_ref().unwrap_or(root);
                let target = root.pointer(pointer).ok_or("a dangling reference")?;
                return conforms(root, target, value);
            }
            "type" => match limit.as_str() {
                Some("object") => value.is_object(),
                Some("array") => value.is_array(),
                Some("string") => value.is_string(),
                Some("number") => value.is_number(),
                Some("integer") => value.is_u64() || value.is_i64(),
                Some("null") => value.is_null(),
                _ => false,
            },
            "const" => value == limit,
            "enum" => limit
                .as_array()
                .is_some_and(|allowed| allowed.contains(value)),
            "oneOf" => {
                let alternatives = limit.as_array().ok_or("alternatives are an array")?;
                alternatives
                    .iter()
                    .filter(|alternative| conforms(root, alternative, value).is_ok())
                    .count()
                    == 1
            }
            "required" => {
                let required: BTreeSet<_> = limit
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str)
                    .map(str::to_owned)
                    .collect();
                let left_out = &keys(&schema["properties"]) - &required;
                left_out
                    .iter()
                    .all(|name| OPTIONAL.contains(&name.as_str()))
                    && required.is_subset(&keys(value))
            }
            "properties" => {
                for (name, property) in limit.as_object().ok_or("properties are an object")? {
                    if let Some(value) = value.get(name) {
                        conforms(root, property, value)?;
                    }
                }
                true
            }
            "additionalProperties" if limit == &json!(false) => {
                keys(value).is_subset(&keys(&schema["properties"]))
            }
            "additionalProperties" => {
                for property in value.as_object().ok_or("an object")?.values() {
                    conforms(root, limit, property)?;
                }
                true
            }
            "propertyNames" => {
                for name in keys(value) {
                    conforms(root, limit, &json!(name))?;
                }
                true
            }
            "items" => {
                for item in value.as_array().ok_or("an array")? {
                    conforms(root, limit, item)?;
                }
                true
            }
            "minimum" => at_least(number),
            "maximum" => at_most(number),
            "exclusiveMinimum" => at_least(number) && number != limit.as_f64(),
            "exclusiveMaximum" => at_most(number) && number != limit.as_f64(),
            "minLength" => at_least(length),
            "maxLength" => at_most(length),
            "minItems" => at_least(items),
            "maxItems" => at_most(items),
            "minProperties" => at_least(properties),
            "maxProperties" => at_most(properties),
            "pattern" => value.as_str().is_some_and(|text| match limit.as_str() {
                Some("^[0-9a-f]{64}$") => vesal_files::digest::is_digest(text),
                Some("^[A-Za-z0-9.+_-]{1,64}$") => {
                    vesal_bundle::manifest::check_version(text).is_ok()
                }
                Some("\\S") => !text.trim().is_empty(),
                Some(r"^[!-\[\]-~]([ -\[\]-~]*[!-\[\]-~])?$") => {
                    let printable = |c: char| matches!(c, ' '..='~') && c != '\\';
                    !text.is_empty() && text.trim() == text && text.chars().all(printable)
                }
                Some("^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$") => {
                    vesal_bundle::path::check(text).is_ok()
                }
                _ => false,
            }),
            _ => {
                return Err(format!(
                    "the schema has a rule {rule} that this test does not know"
                ));
            }
        };
        if !holds {
            return fail(rule);
        }
    }
    Ok(())
}

#[test]
fn a_written_manifest_has_exactly_the_schemas_fields() {
    let (_parent, path) = example::written();
    let manifest =
        serde_json::from_slice(&std::fs::read(path.join("manifest.json")).expect("read"))
            .expect("JSON");
    let schema = schema("manifest.schema.json");
    conforms(&schema, &schema, &manifest).expect("conforms");
    let mut renamed = manifest.clone();
    let opset = renamed["network"]
        .as_object_mut()
        .expect("object")
        .remove("opset")
        .expect("there");
    renamed["network"]["operator_set"] = opset;
    assert!(
        conforms(&schema, &schema, &renamed).is_err(),
        "a drifted field is noticed"
    );
}

#[test]
fn a_written_plan_has_exactly_the_schemas_fields() {
    let schema = schema("deploy-plan.schema.json");
    let mut plan = document::to_value(&example::plan()).expect("JSON");
    conforms(&schema, &schema, &plan).expect("conforms");
    // The alternatives that the example does not use.
    plan["window"]["blend"] = json!("constant");
    plan["window"]["padding"] = json!("replicate");
    plan["restore"] = json!("logits");
    plan["preprocessing"][3]["normalize"]["channels"] = json!(["identity", "z_score_nonzero"]);
    conforms(&schema, &schema, &plan).expect("conforms");
    DeployPlan::from_json(&serde_json::to_vec(&plan).expect("JSON")).expect("readable as well");
    plan["channels"][1]["modality"] = json!("pet");
    plan["activation"] = json!("sigmoid");
    plan["labels"] = json!([
        {"name": "whole", "value": 1, "class_index": 0, "index": [1, 2]},
        {"name": "core", "value": 2, "class_index": 1, "index": [2]}
    ]);
    plan["preprocessing"] = json!([
        "orient_ras",
        {"resample_to_match": {"first_channels": 1}},
        {"normalize": {"channels": ["z_score_nonzero_tanh", "sigmoid_deviation"]}}
    ]);
    conforms(&schema, &schema, &plan).expect("conforms");
    DeployPlan::from_json(&serde_json::to_vec(&plan).expect("JSON")).expect("readable as well");
    plan["preprocessing"] = json!([
        {"normalize": {"channels": [{"clipped_range": {"low": -150.0, "high": 250.0}}, "identity"]}},
        {"crop_foreground": {"threshold": 0.0, "margin": 0}},
        "orient_ras"
    ]);
    conforms(&schema, &schema, &plan).expect("conforms");
    DeployPlan::from_json(&serde_json::to_vec(&plan).expect("JSON")).expect("readable as well");
    plan["labels"][1]["color"] = json!("red");
    assert!(
        conforms(&schema, &schema, &plan).is_err(),
        "a drifted field is noticed"
    );
}

#[test]
fn a_plan_with_rules_of_dicom_has_exactly_the_schemas_fields() {
    let schema = schema("deploy-plan.schema.json");
    let mut plan = example::plan();
    example::rules().apply(&mut plan).expect("applies");
    plan.labels[1].index = Some(vec![4]);
    let plan: Value = serde_json::from_slice(&plan.to_json().expect("valid")).expect("JSON");
    conforms(&schema, &schema, &plan).expect("conforms");
    for (written, described) in [
        (&plan["channels"][1], "/properties/channels/items"),
        (&plan["labels"][1], "/properties/labels/items"),
        (&plan["labels"][1]["code"], "/$defs/label_code"),
    ] {
        let described = schema.pointer(described).expect("there");
        assert_eq!(keys(written), keys(&described["properties"]));
    }
    for (place, bad) in [
        ("/channels/1/series_descriptions/0", json!(" ")),
        ("/labels/1/code/color/0", json!(256)),
        ("/labels/1/code/type/value", json!("a\\b")),
    ] {
        let mut plan = plan.clone();
        *plan.pointer_mut(place).expect("there") = bad;
        conforms(&schema, &schema, &plan).expect_err(place);
        DeployPlan::from_json(&serde_json::to_vec(&plan).expect("JSON")).expect_err(place);
    }
}

#[test]
fn rules_of_dicom_conform_to_their_schema() {
    let schema = schema("dicom-rules.schema.json");
    let mut rules = example::rules_document();
    conforms(&schema, &schema, &rules).expect("conforms");
    assert_eq!(keys(&rules), keys(&schema["properties"]));
    let read = |rules: &Value| {
        DicomRules::from_json(&serde_json::to_vec(rules).expect("JSON"), "rules.json")
    };
    assert_eq!(read(&rules).expect("readable as well"), example::rules());
    rules["channels"]["t1"]["modality"] = json!("mri");
    conforms(&schema, &schema, &rules).expect_err("a drifted field is noticed");
    read(&rules).expect_err("by the reader as well");
    let nothing = json!({"format": "vesal-dicom-rules", "format_version": 1});
    conforms(&schema, &schema, &nothing).expect("conforms");
    assert!(read(&nothing).expect("readable as well").is_empty());
}
