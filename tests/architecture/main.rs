//! Rules of the workspace: dependencies of crates, import circles of files, and names of types.

mod circles;
mod type_names;

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, MetadataCommand};

/// Crates of this workspace that each crate may depend on, and whether it may see Burn and ONNX Runtime.
const ALLOWED: &[(&str, &[&str], bool, bool)] = &[
    ("vesal-volume", &[], false, false),
    ("vesal-files", &[], false, false),
    ("vesal-libraries", &[], false, false),
    ("vesal-network", &[], false, false),
    ("vesal-cli", &[], false, false),
    ("vesal-io", &["vesal-volume", "vesal-files"], false, false),
    (
        "vesal-bundle",
        &["vesal-volume", "vesal-files", "vesal-network"],
        false,
        false,
    ),
    (
        "vesal-cases",
        &["vesal-volume", "vesal-io", "vesal-bundle"],
        false,
        false,
    ),
    ("vesal-onnx", &[], false, false),
    (
        "vesal-engine",
        &[
            "vesal-volume",
            "vesal-files",
            "vesal-libraries",
            "vesal-bundle",
            "vesal-onnx",
        ],
        false,
        true,
    ),
    (
        "vesal",
        &[
            "vesal-engine",
            "vesal-bundle",
            "vesal-files",
            "vesal-libraries",
            "vesal-io",
            "vesal-cases",
            "vesal-volume",
            "vesal-cli",
            "vesal-node",
        ],
        false,
        false,
    ),
    ("vesal-node", &["vesal-files", "vesal-io"], false, false),
    ("vesal-kernels", &[], true, false),
    ("vesal-weights", &["vesal-files"], true, false),
    (
        "vesal-models",
        &["vesal-kernels", "vesal-network"],
        true,
        false,
    ),
    (
        "vesal-trainer",
        &[
            "vesal-models",
            "vesal-kernels",
            "vesal-weights",
            "vesal-network",
            "vesal-volume",
            "vesal-files",
            "vesal-libraries",
            "vesal-io",
            "vesal-cases",
            "vesal-bundle",
            "vesal-cli",
        ],
        true,
        false,
    ),
    (
        "vesal-exporter",
        &[
            "vesal-models",
            "vesal-weights",
            "vesal-network",
            "vesal-files",
            "vesal-bundle",
            "vesal-volume",
            "vesal-engine",
            "vesal-onnx",
            "vesal-cli",
        ],
        true,
        false,
    ),
    ("vesal-tests", &["vesal-volume", "vesal-io"], false, false),
    ("vesal-benches", &["vesal-volume", "vesal-io"], false, false),
    (
        "vesal-fuzz-targets",
        &[
            "vesal-volume",
            "vesal-files",
            "vesal-network",
            "vesal-io",
            "vesal-bundle",
            "vesal-onnx",
            "vesal-node",
            "vesal-exporter",
            "vesal-trainer",
        ],
        false,
        false,
    ),
];

#[test]
fn crates_depend_only_along_the_allowed_edges() {
    let metadata = MetadataCommand::new().no_deps().exec().unwrap();
    let allowed: BTreeMap<_, _> = ALLOWED.iter().map(|row| (row.0, row)).collect();
    let members: BTreeSet<&str> = metadata
        .packages
        .iter()
        .map(|package| package.name.as_str())
        .collect();
    assert_eq!(
        members,
        allowed.keys().copied().collect(),
        "crates of the workspace"
    );

    for package in &metadata.packages {
        let (_, crates, burn, ort) = allowed[package.name.as_str()];
        for dependency in &package.dependencies {
            if dependency.kind != DependencyKind::Normal {
                continue;
            }
            let name = dependency.name.as_str();
            if members.contains(name) {
                assert!(
                    crates.contains(&name),
                    "{} → {name} is no allowed edge",
                    package.name
                );
            }
            assert!(
                *burn || !name.starts_with("burn"),
                "{} → {name}: Burn stays out of it",
                package.name
            );
            assert!(
                *ort || name != "ort",
                "{} → {name}: only the engine touches ONNX Runtime",
                package.name
            );
        }
    }
}

#[test]
fn no_training_library_is_in_the_runtime_graph() {
    let metadata = MetadataCommand::new().exec().unwrap();
    let resolve = metadata.resolve.as_ref().unwrap();
    let name = |id: &cargo_metadata::PackageId| metadata[id].name.as_str();
    let nodes: BTreeMap<_, _> = resolve.nodes.iter().map(|node| (&node.id, node)).collect();

    let root = resolve
        .nodes
        .iter()
        .find(|node| name(&node.id) == "vesal")
        .unwrap();
    let mut seen = BTreeSet::from([&root.id]);
    let mut queue = vec![&root.id];
    while let Some(id) = queue.pop() {
        for dependency in &nodes[id].deps {
            let normal = dependency
                .dep_kinds
                .iter()
                .any(|kind| kind.kind == DependencyKind::Normal);
            if normal && seen.insert(&dependency.pkg) {
                queue.push(&dependency.pkg);
            }
        }
    }
    let training: Vec<_> = seen
        .iter()
        .map(|id| name(id))
        .filter(|name| {
            name.starts_with("burn") || name.starts_with("cubecl") || *name == "vesal-models"
        })
        .collect();
    assert!(training.is_empty(), "in the graph of `vesal`: {training:?}");
    assert!(
        seen.iter().any(|id| name(id) == "ort"),
        "the walk found ONNX Runtime's binding"
    );
}
