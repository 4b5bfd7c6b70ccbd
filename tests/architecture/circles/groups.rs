//! Strongly connected groups of a graph.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::Edges;

/// Groups of two or more files each of which can be reached from each other one.
///
/// **Definition**: two files are in one group if each is reachable from the other. Crates have some hundred files at
/// most, so that reachable files are collected for each of them.
pub fn strongly_connected(edges: &Edges) -> Vec<BTreeSet<PathBuf>> {
    let reachable: BTreeMap<&Path, BTreeSet<&Path>> = edges
        .keys()
        .map(|file| (file.as_path(), reachable_from(file, edges)))
        .collect();
    let mut groups = BTreeSet::new();
    for (file, targets) in &reachable {
        let is_mutual = |target: &&Path| {
            reachable
                .get(target)
                .is_some_and(|back| back.contains(file))
        };
        let group: BTreeSet<PathBuf> = targets
            .iter()
            .copied()
            .filter(is_mutual)
            .map(Path::to_path_buf)
            .collect();
        if group.len() > 1 {
            groups.insert(group);
        }
    }
    groups.into_iter().collect()
}

fn reachable_from<'a>(file: &Path, edges: &'a Edges) -> BTreeSet<&'a Path> {
    let mut found = BTreeSet::new();
    let mut queue: Vec<&Path> = edges[file].keys().map(PathBuf::as_path).collect();
    while let Some(next) = queue.pop() {
        if found.insert(next) {
            let targets = edges.get(next).into_iter().flatten();
            queue.extend(targets.map(|(target, _)| target.as_path()));
        }
    }
    found
}
