//! Malicious bundles: each is refused with a specific error.

mod documents;
mod names;

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use vesal_bundle::manifest::ManifestError;
use vesal_bundle::{Bundle, BundleError, Manifest};
use vesal_files::{DocumentError, VersionedDocument};

use crate::example;

fn edit(path: &Path, change: impl FnOnce(&mut Value)) {
    let mut value: Value = serde_json::from_slice(&fs::read(path).expect("read")).expect("JSON");
    change(&mut value);
    fs::write(path, serde_json::to_vec(&value).expect("JSON")).expect("written");
}

/// Opens a bundle whose manifest was changed.
fn open_with(change: impl FnOnce(&mut Value)) -> BundleError {
    let (_parent, path) = example::written();
    edit(&path.join("manifest.json"), change);
    Bundle::open(&path).expect_err("refused")
}

#[cfg(unix)]
#[test]
fn symlink_member() {
    let (parent, path) = example::written();
    let member = path.join("members/model.onnx");
    let outside = parent.path().join("outside.onnx");
    fs::rename(&member, &outside).expect("renamed");
    std::os::unix::fs::symlink(&outside, &member).expect("linked");
    let error = Bundle::open(&path).expect_err("refused");
    assert!(
        matches!(&error, BundleError::NotPlain { file } if file == "members/model.onnx"),
        "{error:?}"
    );
}

#[cfg(unix)]
#[test]
fn symlink_folder_and_manifest() {
    let (parent, path) = example::written();
    let outside = parent.path().join("outside");
    fs::rename(path.join("members"), &outside).expect("renamed");
    std::os::unix::fs::symlink(&outside, path.join("members")).expect("linked");
    assert!(Bundle::open(&path).is_err());
    fs::remove_file(path.join("members")).expect("removed");
    fs::rename(&outside, path.join("members")).expect("renamed");
    Bundle::open(&path).expect("whole again");
    let manifest = parent.path().join("manifest.json");
    fs::rename(path.join("manifest.json"), &manifest).expect("renamed");
    std::os::unix::fs::symlink(&manifest, path.join("manifest.json")).expect("linked");
    assert!(matches!(
        Bundle::open(&path),
        Err(BundleError::NotPlain { .. })
    ));
}

#[test]
fn wrong_digest() {
    let (_parent, path) = example::written();
    let bundle = Bundle::open(&path).expect("opens");
    let mut bytes = example::network(1);
    bytes[17] ^= 1;
    fs::write(path.join("members/model.onnx"), bytes).expect("written");
    let error = Bundle::open(&path).expect_err("refused");
    assert!(
        matches!(&error, BundleError::Digest { file, .. } if file == "members/model.onnx"),
        "{error:?}"
    );
    assert!(
        matches!(bundle.member_bytes(1), Err(BundleError::Digest { .. })),
        "changed after it was opened"
    );
}

#[test]
fn truncated() {
    let (_parent, path) = example::written();
    fs::write(path.join("members/model.onnx"), &example::network(1)[1..]).expect("written");
    let error = Bundle::open(&path).expect_err("refused");
    assert!(
        matches!(
            error,
            BundleError::Size {
                found: 899,
                expected: 900,
                ..
            }
        ),
        "{error:?}"
    );
    fs::remove_file(path.join("members/model.onnx")).expect("removed");
    assert!(matches!(
        Bundle::open(&path),
        Err(BundleError::Missing { .. })
    ));
}

#[test]
fn truncated_manifest() {
    let (_parent, path) = example::written();
    let bytes = fs::read(path.join("manifest.json")).expect("read");
    for length in [0, 1, bytes.len() / 2, bytes.len() - 3] {
        fs::write(path.join("manifest.json"), &bytes[..length]).expect("written");
        let error = Bundle::open(&path).expect_err("refused");
        assert!(matches!(
            error,
            BundleError::Manifest(ManifestError::Document(DocumentError::Json { .. }))
        ));
    }
    fs::remove_file(path.join("manifest.json")).expect("removed");
    assert!(matches!(
        Bundle::open(&path),
        Err(BundleError::NoManifest { .. })
    ));
}

#[test]
fn extra_file() {
    for extra in ["run.sh", "members/extra.onnx", "members/deeper/extra.onnx"] {
        let (_parent, path) = example::written();
        let extra = path.join(extra);
        fs::create_dir_all(extra.parent().expect("parent")).expect("created");
        fs::write(extra, "extra").expect("written");
        let error = Bundle::open(&path).expect_err("refused");
        assert!(matches!(error, BundleError::Unlisted { .. }), "{error:?}");
    }
}

#[test]
fn listed_file_without_a_role() {
    let error = open_with(|manifest| {
        manifest["members"].as_array_mut().expect("array").pop();
    });
    assert!(
        matches!(error, BundleError::Manifest(ManifestError::NoRole { .. })),
        "{error:?}"
    );
}

#[test]
fn file_with_a_role_that_is_not_listed() {
    let error = open_with(|manifest| manifest["members"][1]["file"] = json!("members/other.onnx"));
    assert!(
        matches!(
            error,
            BundleError::Manifest(ManifestError::NotListed { .. })
        ),
        "{error:?}"
    );
    let error = open_with(|manifest| manifest["probe"] = json!("deploy_plan.json"));
    assert!(
        matches!(error, BundleError::Manifest(ManifestError::TwoRoles { .. })),
        "{error:?}"
    );
}

#[test]
fn file_listed_twice() {
    let (_parent, path) = example::written();
    let text = fs::read_to_string(path.join("manifest.json")).expect("read");
    let entry = format!(
        "\"probe.json\": {{\"bytes\": 1, \"sha256\": \"{}\"}},",
        "0".repeat(64)
    );
    fs::write(
        path.join("manifest.json"),
        text.replacen("\"files\": {", &format!("\"files\": {{{entry}"), 1),
    )
    .expect("written");
    let error = Bundle::open(&path).expect_err("refused");
    assert!(
        matches!(
            error,
            BundleError::Manifest(ManifestError::Document(DocumentError::Json { .. }))
        ),
        "{error:?}"
    );
}

#[test]
fn unknown_field() {
    for pointer in [
        "",
        "/network",
        "/members/0",
        "/members/0/provenance/trained",
        "/provenance",
        "/files/probe.json",
    ] {
        let error = open_with(|manifest| {
            manifest.pointer_mut(pointer).expect("there")["on_load"] = json!("run.sh");
        });
        assert!(
            matches!(
                error,
                BundleError::Manifest(ManifestError::Document(DocumentError::Json { .. }))
            ),
            "{pointer}: {error:?}"
        );
    }
}

#[test]
fn huge_manifest() {
    let (_parent, path) = example::written();
    let file = fs::File::create(path.join("manifest.json")).expect("created");
    file.set_len(Manifest::MAX_BYTES + 1).expect("sparse");
    let error = Bundle::open(&path).expect_err("refused");
    assert!(matches!(
        error,
        BundleError::Document(DocumentError::TooLarge {
            limit_bytes: Manifest::MAX_BYTES,
            ..
        })
    ));
}

#[test]
fn deeply_nested_manifest() {
    let (_parent, path) = example::written();
    fs::write(path.join("manifest.json"), "[".repeat(1_000_000)).expect("written");
    assert!(matches!(
        Bundle::open(&path),
        Err(BundleError::Manifest(ManifestError::Document(_)))
    ));
}

#[test]
fn wrong_version() {
    let error = open_with(|manifest| {
        manifest["format_version"] = json!(3);
        manifest["new_field"] = json!(true);
    });
    let BundleError::Manifest(ManifestError::Document(inner)) = &error else {
        panic!("{error:?}")
    };
    assert_eq!(
        inner.to_string(),
        "`manifest.json` has version 3 of the format \"vesal-bundle\", expected 2"
    );
    assert!(error.hint().is_some_and(|hint| hint.contains("newer")));
    let error = open_with(|manifest| manifest["format"] = json!("onnx"));
    let BundleError::Manifest(ManifestError::Document(inner)) = &error else {
        panic!("{error:?}")
    };
    assert_eq!(
        inner.to_string(),
        "`manifest.json` has the format \"onnx\", expected \"vesal-bundle\""
    );
}

#[test]
fn impossible_weights_and_digests() {
    for weight in [0., -1.] {
        let error = open_with(|manifest| manifest["members"][0]["weight"] = json!(weight));
        assert!(
            matches!(error, BundleError::Manifest(ManifestError::Weight { .. })),
            "{error:?}"
        );
    }
    let error = open_with(|manifest| manifest["files"]["probe.json"]["sha256"] = json!("0"));
    assert!(
        matches!(
            error,
            BundleError::Manifest(ManifestError::DigestForm { .. })
        ),
        "{error:?}"
    );
    let error = open_with(|manifest| manifest["files"]["probe.json"]["bytes"] = json!(u64::MAX));
    assert!(
        matches!(error, BundleError::Manifest(ManifestError::FileSize { .. })),
        "{error:?}"
    );
}

#[test]
fn version_that_is_none() {
    for version in ["", "1.0\n2", "a b", "../1", &"1".repeat(65)] {
        let error = open_with(|manifest| manifest["version"] = json!(version));
        assert!(
            matches!(error, BundleError::Manifest(ManifestError::Version { .. })),
            "{error:?}"
        );
    }
}
