//! Bundles: their documents one by one, and a folder whose digests are those of its files.

#[path = "../../../runtime/bundle/tests/example/mod.rs"]
mod made;

use std::fs;

use serde_json::Value;
use vesal_bundle::case_scores::CaseScores;
use vesal_bundle::manifest::FILE_NAME;
use vesal_bundle::{Bundle, DeployPlan, DicomRules, Manifest, Probe};
use vesal_files::digest;

use crate::scratch::{ScratchFolder, files, joined};
use crate::target::Target;

/// Members of the ensemble of the example.
const MEMBERS: usize = 2;

/// Manifest, plan, probe, rules and scores; selected by the first byte.
pub const DOCUMENTS: Target = Target {
    name: "bundle_documents",
    run: |bytes| {
        let Some((kind, json)) = bytes.split_first() else {
            return;
        };
        let error = match kind % 5 {
            0 => match Manifest::from_json(json) {
                Ok(manifest) => {
                    let again = manifest.to_json().expect("what is valid can be written");
                    assert!(Manifest::from_json(&again).is_ok());
                    return;
                }
                Err(error) => error.to_string(),
            },
            1 => match DeployPlan::from_json(json) {
                Ok(plan) => {
                    let again = plan.to_json().expect("what is valid can be written");
                    assert!(DeployPlan::from_json(&again).is_ok());
                    return;
                }
                Err(error) => error.to_string(),
            },
            2 => match Probe::from_json(json, &[(&made::plan(), MEMBERS)]) {
                Ok(probe) => {
                    let voxels = made::WINDOW.iter().product();
                    let labels = probe.groups[0].labels.decode(voxels);
                    assert!(labels.is_ok_and(|labels| labels.len() == voxels));
                    return;
                }
                Err(error) => error.to_string(),
            },
            3 => match DicomRules::from_json(json, "rules.json") {
                Ok(rules) => {
                    return drop(rules.check_labels(&made::plan().labels, made::plan().activation));
                }
                Err(error) => error.to_string(),
            },
            _ => match CaseScores::from_json(json) {
                Ok(_) => return,
                Err(error) => error.to_string(),
            },
        };
        assert!(!error.is_empty());
    },
    seeds: || {
        let rules = serde_json::to_vec(&made::rules_document()).expect("JSON");
        let (_folder, path) = made::written();
        [
            fs::read(path.join(FILE_NAME)).expect("a manifest"),
            made::plan().to_json().expect("a plan"),
            made::probe(MEMBERS).to_json().expect("a probe"),
            rules,
        ]
        .into_iter()
        .enumerate()
        .map(|(kind, json)| [vec![kind as u8], json].concat())
        .collect()
    },
    wrapping: None,
};

/// A folder: its manifest, then the files that the manifest lists, in the order of their names.
pub const FOLDER: Target = Target {
    name: "bundle_folder",
    run: |bytes| {
        let mut parts = files(bytes).into_iter();
        let Some(Ok(mut manifest)) = parts.next().map(serde_json::from_slice::<Value>) else {
            return;
        };
        let folder = ScratchFolder::new();
        // The digests are recomputed, so that mutations pass their check.
        if let Some(listed) = manifest.get_mut("files").and_then(Value::as_object_mut) {
            for (name, entry) in listed.iter_mut() {
                let Some(part) = parts.next() else {
                    break;
                };
                if vesal_bundle::path::check(name).is_err() {
                    continue;
                }
                let path = folder.path().join(name);
                let made = path.parent().map(fs::create_dir_all);
                if made.is_some_and(|made| made.is_ok()) && fs::write(path, part).is_ok() {
                    *entry =
                        serde_json::json!({"bytes": part.len(), "sha256": digest::sha256(part)});
                }
            }
        }
        folder.file(FILE_NAME, manifest.to_string().as_bytes());
        match Bundle::open(folder.path()) {
            Ok(bundle) => {
                for member in 0..bundle.manifest().members.len() {
                    assert!(bundle.read_member(member).is_ok());
                }
            }
            Err(error) => drop(error.to_string()),
        }
    },
    seeds: || {
        let (_folder, path) = made::written();
        let read = |name: &str| fs::read(path.join(name)).expect("a file of the example");
        let manifest = read(FILE_NAME);
        let listed: Value = serde_json::from_slice(&manifest).expect("JSON");
        let names = listed["files"].as_object().expect("files").keys();
        let mut all = vec![manifest];
        all.extend(names.map(|name| read(name)));
        vec![joined(&all)]
    },
    wrapping: None,
};
