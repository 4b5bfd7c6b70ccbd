//! Bundles whose members have different deploy plans, and bundles of version 1, which have one.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;
use vesal_bundle::probe::{ProbeGroup, ProbeInput};
use vesal_bundle::{Bundle, BundleError, BundleWriteError, BundleWriter, DeployPlan, Probe};
use vesal_files::digest;
use vesal_volume::preprocess::Restore;

use crate::example;

const SECOND: &str = "plans/second.json";

/// Writes a bundle whose second member has a plan of its own.
fn two_plans(
    folder: &Path,
    change: impl FnOnce(&mut DeployPlan),
) -> Result<Bundle, BundleWriteError> {
    let mut second = example::plan();
    second.preprocessing.remove(0);
    second.restore = Restore::Logits;
    change(&mut second);
    let mut manifest = example::manifest();
    manifest.members[1].deploy_plan = SECOND.into();
    let mut writer = BundleWriter::create(&folder.join("two"), false)?;
    writer.add(
        "deploy_plan.json",
        &example::plan().to_json().expect("valid"),
    )?;
    writer.add(SECOND, &second.to_json().expect("valid"))?;
    let [x, y, z] = second.window.size;
    let mut probe = example::probe(1);
    let labels = probe.groups[0].labels.clone();
    probe.groups.push(ProbeGroup {
        input: ProbeInput::new(3, 2, [x, y, z]),
        labels,
        ..probe.groups[0].clone()
    });
    writer.add(&manifest.probe, &probe.to_json().expect("JSON"))?;
    for (index, member) in manifest.members.iter().enumerate() {
        writer.add(&member.file, &example::network(index))?;
    }
    writer.finish(manifest)
}

#[test]
fn members_refer_to_one_of_several_plans() {
    let folder = TempDir::new().expect("a folder");
    let bundle = two_plans(folder.path(), |_| ()).expect("written");
    let [first, second] = bundle.groups() else {
        panic!("{:?}", bundle.groups());
    };
    assert_eq!((&first.members, &second.members), (&vec![0], &vec![1]));
    assert_eq!(*first.plan, example::plan());
    assert_eq!(second.plan.restore, Restore::Logits);
    assert_eq!(bundle.plan(), &example::plan());
    assert_eq!(bundle.probe().groups.len(), 2);
}

#[test]
fn plans_that_contradict_each_other_are_refused() {
    let refused = |change: fn(&mut DeployPlan)| {
        let folder = TempDir::new().expect("a folder");
        match two_plans(folder.path(), change).expect_err("refused") {
            BundleWriteError::Unusable(BundleError::PlansDisagree { what, .. }) => what,
            error => panic!("{error:?}"),
        }
    };
    assert_eq!(
        refused(|plan| plan.labels[1].name = "other".into()),
        "labels"
    );
    assert_eq!(
        refused(|plan| plan.channels[0].name = "other".into()),
        "channels"
    );
}

#[test]
fn a_probe_has_a_window_for_each_plan() {
    let folder = TempDir::new().expect("a folder");
    let bundle = two_plans(folder.path(), |_| ()).expect("written");
    let (first, second) = (&bundle.groups()[0], &bundle.groups()[1]);
    let mut probe: Probe = bundle.probe().clone();
    probe.groups.pop();
    let error = probe
        .validate(&[(&first.plan, 1), (&second.plan, 1)])
        .expect_err("refused");
    assert_eq!(
        error.to_string(),
        "the probe has 1 windows, expected 2: one for each deploy plan"
    );
}

/// Turns a written bundle into one of version 1, as it was written then.
fn downgrade(path: &Path) {
    let read = |file: &str| -> Value {
        serde_json::from_slice(&fs::read(path.join(file)).expect("read")).expect("JSON")
    };
    let mut probe = read("probe.json");
    let group = probe["groups"][0].take();
    let fields = probe.as_object_mut().expect("an object");
    fields.remove("groups");
    fields["format_version"] = json!(1);
    for field in ["input", "members", "labels"] {
        fields.insert(field.into(), group[field].clone());
    }
    let probe = serde_json::to_vec(&probe).expect("JSON");
    fs::write(path.join("probe.json"), &probe).expect("written");
    let mut manifest = read("manifest.json");
    manifest["format_version"] = json!(1);
    manifest["deploy_plan"] = json!("deploy_plan.json");
    manifest["files"]["probe.json"] =
        json!({"bytes": probe.len(), "sha256": digest::sha256(&probe)});
    for member in manifest["members"].as_array_mut().expect("members") {
        member
            .as_object_mut()
            .expect("an object")
            .remove("deploy_plan");
    }
    let manifest = serde_json::to_vec(&manifest).expect("JSON");
    fs::write(path.join("manifest.json"), manifest).expect("written");
}

fn version_1() -> (TempDir, PathBuf) {
    let (parent, path) = example::written();
    downgrade(&path);
    (parent, path)
}

#[test]
fn a_bundle_of_version_1_opens_as_one_group() {
    let (_parent, path) = version_1();
    let bundle = Bundle::open(&path).expect("opens");
    assert_eq!(bundle.manifest().members, example::manifest().members);
    assert_eq!(bundle.probe(), &example::probe(2));
    let [group] = bundle.groups() else {
        panic!("{:?}", bundle.groups());
    };
    assert_eq!(group.members, [0, 1]);
    assert_eq!(*group.plan, example::plan());
}

#[test]
fn fields_of_the_other_version_are_refused() {
    let edit = |path: &Path, change: fn(&mut Value)| {
        let file = path.join("manifest.json");
        let mut value = serde_json::from_slice(&fs::read(&file).expect("read")).expect("JSON");
        change(&mut value);
        fs::write(&file, serde_json::to_vec(&value).expect("JSON")).expect("written");
        Bundle::open(path).expect_err("refused")
    };
    let (_parent, path) = version_1();
    let error = edit(&path, |manifest| {
        manifest["members"][0]["deploy_plan"] = json!("deploy_plan.json");
    });
    assert!(matches!(error, BundleError::Manifest(_)), "{error:?}");
    let (_parent, path) = example::written();
    let error = edit(&path, |manifest| {
        manifest["deploy_plan"] = json!("deploy_plan.json")
    });
    assert!(matches!(error, BundleError::Manifest(_)), "{error:?}");
}
