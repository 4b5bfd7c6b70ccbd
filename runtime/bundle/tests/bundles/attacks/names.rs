//! Names of files that lead out of the bundle, or differ in case alone.

use serde_json::{Value, json};
use vesal_bundle::BundleError;
use vesal_bundle::manifest::ManifestError;
use vesal_bundle::path::PathRule;

use super::open_with;

fn broken_path_rule(error: &BundleError) -> Option<PathRule> {
    match error {
        BundleError::Manifest(ManifestError::Path(error)) => Some(error.rule),
        _ => None,
    }
}

/// Renames a listed file in the manifest.
fn rename_member(manifest: &mut Value, name: &str) {
    let entry = manifest["files"]
        .as_object_mut()
        .expect("object")
        .remove("members/model.onnx")
        .expect("listed");
    manifest["files"][name] = entry;
    manifest["members"][1]["file"] = json!(name);
}

#[test]
fn path_traversal() {
    let error = open_with(|manifest| rename_member(manifest, "members/../../model.onnx"));
    assert_eq!(
        broken_path_rule(&error),
        Some(PathRule::Climbs),
        "{error:?}"
    );
}

#[test]
fn absolute_path() {
    let error = open_with(|manifest| rename_member(manifest, "/etc/passwd"));
    assert_eq!(
        broken_path_rule(&error),
        Some(PathRule::Absolute),
        "{error:?}"
    );
}

#[test]
fn external_names() {
    for name in [
        "C:\\model.onnx",
        "\\\\server\\share\\model.onnx",
        "file:model.onnx",
    ] {
        let error = open_with(|manifest| rename_member(manifest, name));
        assert_eq!(
            broken_path_rule(&error),
            Some(PathRule::Character),
            "{error:?}"
        );
    }
    let error = open_with(|manifest| rename_member(manifest, "members/NUL"));
    assert_eq!(
        broken_path_rule(&error),
        Some(PathRule::Device),
        "{error:?}"
    );
}

#[test]
fn names_that_differ_in_case_alone() {
    let error = open_with(|manifest| rename_member(manifest, "members/FOLD-0.onnx"));
    assert!(
        matches!(
            error,
            BundleError::Manifest(ManifestError::SameIgnoringCase { .. })
        ),
        "{error:?}"
    );
}
