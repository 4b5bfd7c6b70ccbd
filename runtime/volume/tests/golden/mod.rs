//! Reads the golden vectors that the reference implementation wrote.
//!
//! They lie in `$VESAL_SHARED/golden`, or in `shared/golden` beside the checkout. Where they are absent, tests that
//! need them print a message and pass, except in continuous integration (`CI=true`), where absence is a failure.

// Each test file compiles its own copy and uses what it needs.
#![allow(dead_code)]

use std::path::PathBuf;

use ndarray::{ArrayD, IxDyn};
use serde_json::Value;

/// The folder that holds the golden vectors, whether or not it exists.
pub fn folder() -> PathBuf {
    let shared = match std::env::var_os("VESAL_SHARED") {
        Some(shared) => PathBuf::from(shared),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
    };
    shared.join("golden")
}

/// Reads `NAME.json`; `None` (after a message) where it is absent and absence is allowed.
///
/// Panics where the file is malformed, and where it is absent although `CI` is `true`.
pub fn load(name: &str) -> Option<Value> {
    let path = folder().join(name).with_extension("json");
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) => {
            let required = std::env::var("CI").is_ok_and(|ci| ci == "true");
            assert!(
                !required,
                "golden vectors `{}` cannot be read: {error}",
                path.display()
            );
            println!("skipped: no golden vectors at `{}`", path.display());
            return None;
        }
    };
    Some(serde_json::from_str(&text).expect("golden vectors are valid JSON"))
}

/// The cases of a golden file.
pub fn cases(file: &Value) -> &[Value] {
    let cases = file["cases"].as_array().expect("a golden file has cases");
    assert!(!cases.is_empty(), "a golden file has at least one case");
    cases
}

/// A stored array `{"shape": [...], "data": [...]}` in C order; `null` is NaN, `"inf"` and `"-inf"` are infinite.
pub fn array(value: &Value) -> ArrayD<f64> {
    let shape = numbers(&value["shape"])
        .into_iter()
        .map(|n| n as usize)
        .collect::<Vec<_>>();
    ArrayD::from_shape_vec(IxDyn(&shape), numbers(&value["data"]))
        .expect("stored shape and data agree")
}

/// A flat list of numbers with the same spelling of NaN and infinity as [`array`].
pub fn numbers(value: &Value) -> Vec<f64> {
    value
        .as_array()
        .expect("a list of numbers")
        .iter()
        .map(number)
        .collect()
}

/// One number: `null` is NaN, `"inf"` and `"-inf"` are infinite.
pub fn number(value: &Value) -> f64 {
    match value {
        Value::Null => f64::NAN,
        Value::String(text) => text.parse().expect("`inf` or `-inf`"),
        other => other.as_f64().expect("a number"),
    }
}
