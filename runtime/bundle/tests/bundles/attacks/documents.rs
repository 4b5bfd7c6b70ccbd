//! Plans and probes that cannot be, with the right digests.

use std::fs;

use serde_json::{Value, json};
use vesal_bundle::deploy_plan::PlanError;
use vesal_bundle::probe::ProbeError;
use vesal_bundle::{Bundle, BundleError, DeployPlan, Probe};
use vesal_files::{digest, document};

use super::edit;
use crate::example;

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
