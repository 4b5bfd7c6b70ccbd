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

fn assert_refused(name: &str, rule: PathRule) {
    let error = open_with(|manifest| rename_member(manifest, name));
    assert_eq!(broken_path_rule(&error), Some(rule), "{name}: {error:?}");
}

#[test]
fn path_traversal() {
    assert_refused("members/../../model.onnx", PathRule::Climbs);
}

#[test]
fn absolute_path() {
    assert_refused("/etc/passwd", PathRule::Absolute);
}

#[test]
fn external_names() {
    for name in [
        "C:\\model.onnx",
        "\\\\server\\share\\model.onnx",
        "file:model.onnx",
    ] {
        assert_refused(name, PathRule::Character);
    }
    assert_refused("members/NUL", PathRule::Device);
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
