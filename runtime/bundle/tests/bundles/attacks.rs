//! Malicious bundles: each is refused with a specific error.

use crate::example;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use vesal_bundle::deploy_plan::PlanError;
use vesal_bundle::manifest::ManifestError;
use vesal_bundle::path::PathRule;
use vesal_bundle::probe::ProbeError;
use vesal_bundle::{Bundle, BundleError, DeployPlan, Manifest, Probe};
use vesal_files::{DocumentError, VersionedDocument, digest, document};

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

/// Replaces a listed document together with its digest.
fn open_with_document(file: &str, change: impl FnOnce(&mut Value)) -> BundleError {
    let (_parent, path) = example::written();
    edit(&path.join(file), change);
    let bytes = fs::read(path.join(file)).expect("read");
    edit(&path.join("manifest.json"), |manifest| {
        manifest["files"][file] = json!({ "bytes": bytes.len(), "sha256": digest::sha256(&bytes) });
    });
    Bundle::open(&path).expect_err("refused")
}

#[test]
fn a_consistent_bundle_with_a_bad_plan() {
    let error = open_with_document("deploy_plan.json", |plan| {
        plan["window"]["size"] = json!([1024, 1024, 1024])
    });
    assert!(
        matches!(error, BundleError::Plan(PlanError::WindowSize { .. })),
        "{error:?}"
    );
}

#[test]
fn a_consistent_bundle_with_a_bad_probe() {
    let error = open_with_document("probe.json", |probe| {
        probe["groups"][0]["labels"]["runs"] = json!([[0, u64::MAX]])
    });
    assert!(
        matches!(error, BundleError::Probe(ProbeError::LabelVoxels { .. })),
        "{error:?}"
    );
    let error = open_with_document("probe.json", |probe| {
        probe["groups"][0]["members"][1]["logits"][0]["index"] = json!(72)
    });
    assert!(
        matches!(
            error,
            BundleError::Probe(ProbeError::Logit { limit: 72, .. })
        ),
        "{error:?}"
    );
}

#[test]
fn plans_that_cannot_be_are_refused() {
    let refused = |change: fn(&mut Value)| {
        let mut value = document::to_value(&example::plan()).expect("JSON");
        change(&mut value);
        DeployPlan::from_json(&serde_json::to_vec(&value).expect("JSON")).expect_err("refused")
    };
    assert!(matches!(
        refused(|plan| plan["labels"][1]["class_index"] = json!(2)),
        PlanError::ClassIndex { .. }
    ));
    assert!(matches!(
        refused(|plan| plan["labels"][0]["value"] = json!(1)),
        PlanError::Background { found: 1, .. }
    ));
    assert!(matches!(
        refused(|plan| plan["labels"][2]["value"] = json!(7)),
        PlanError::Duplicate { .. }
    ));
    assert!(matches!(
        refused(|plan| plan["labels"][2]["name"] = json!("soft")),
        PlanError::Duplicate { .. }
    ));
    assert!(matches!(
        refused(|plan| plan["channels"][1]["name"] = json!("ct")),
        PlanError::Duplicate { .. }
    ));
    assert!(matches!(
        refused(|plan| plan["channels"] = json!([])),
        PlanError::Count { .. }
    ));
    assert!(matches!(
        refused(|plan| plan["name"] = json!("a\nb")),
        PlanError::Name { .. }
    ));
    assert!(matches!(
        refused(|plan| plan["preprocessing"][2]["resample"]["spacing"][1] = json!(-1.)),
        PlanError::Step { position: 2, .. }
    ));
    assert!(matches!(
        refused(|plan| plan["preprocessing"][2]["resample"]["keep"] = json!([1.1, 1.2])),
        PlanError::Preprocessing(_)
    ));
    assert!(matches!(
        refused(|plan| plan["preprocessing"][3]["normalize"]["channels"] = json!(["identity"])),
        PlanError::Preprocessing(_)
    ));
    assert!(matches!(
        refused(|plan| plan["window"]["overlap"][0] = json!(1.)),
        PlanError::Window(_)
    ));
    assert!(matches!(
        refused(|plan| plan["window"]["size"][0] = json!(0)),
        PlanError::Window(_)
    ));
    assert!(matches!(
        refused(|plan| plan["window"]["stride"] = json!(0)),
        PlanError::Document(_)
    ));
}

#[test]
fn probes_that_prove_nothing_are_refused() {
    let plan = example::plan();
    let refused = |change: fn(&mut Probe)| {
        let mut probe = example::probe(2);
        change(&mut probe);
        probe.validate(&[(&plan, 2)]).expect_err("refused")
    };
    assert!(matches!(
        refused(|probe| probe.groups[0].input.shape[4] = 3),
        ProbeError::Shape { .. }
    ));
    assert!(matches!(
        refused(|probe| probe.groups[0].members.truncate(1)),
        ProbeError::Members { .. }
    ));
    assert!(matches!(
        refused(|probe| probe.groups[0].members[0].logits.clear()),
        ProbeError::NoLogits { member: 0 }
    ));
    assert!(matches!(
        refused(|probe| probe.groups[0].labels.runs[1].0 = 9),
        ProbeError::LabelValue { found: 9 }
    ));
    assert!(matches!(
        refused(|probe| probe.groups[0].labels.runs.swap(0, 1)),
        ProbeError::Labels { what: "SHA-256" }
    ));
    assert!(matches!(
        refused(|probe| probe.groups[0].labels.voxels.clear()),
        ProbeError::Labels {
            what: "voxel counts"
        }
    ));
    assert!(matches!(
        refused(|probe| probe.tolerance.min_identical_labels = 0.),
        ProbeError::Tolerance { .. }
    ));
    assert!(matches!(
        refused(|probe| probe.tolerance.max_logit_difference = f64::INFINITY),
        ProbeError::Tolerance { .. }
    ));
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
