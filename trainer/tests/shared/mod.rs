//! Finds golden vectors and real data.

use std::path::PathBuf;

use serde_json::Value;

/// A file or folder of `$VESAL_SHARED`, by default `shared` beside the checkout.
///
/// Where it is absent, tests that need it say so and pass, except in continuous integration (`CI=true`), where absence
/// is a failure.
pub fn find(name: &str) -> Option<PathBuf> {
    let shared = match std::env::var_os("VESAL_SHARED") {
        Some(shared) => PathBuf::from(shared),
        None => PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared")),
    };
    let path = shared.join(name);
    if path.exists() {
        return Some(path);
    }
    let required = std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(!required, "`{}` is absent", path.display());
    println!("skipped: no `{}`", path.display());
    None
}

/// Cases of a golden file; none where [`find`] finds no such file.
pub fn cases(name: &str) -> Vec<Value> {
    let Some(path) = find(&format!("golden/{name}")) else {
        return Vec::new();
    };
    let mut golden: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let Value::Array(cases) = golden["cases"].take() else {
        panic!("{name} has no list of cases")
    };
    assert!(!cases.is_empty());
    cases
}
