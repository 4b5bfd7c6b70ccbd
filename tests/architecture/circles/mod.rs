//! No import circles between the files of a crate: a file can be read, moved and tested after those that it uses, and
//! before those that use it.
//!
//! **Definition**: file A depends on file B if A names something that B defines, in a `use`, a path or a macro's
//! arguments. Re-exports are followed to the definition. A parent that re-exports what its descendants define does not
//! depend on them for that. What is compiled for tests alone does not count. A circle is a strongly connected group of
//! two or more files.

mod groups;
mod names;
pub mod source;
pub mod syntax;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::{MetadataCommand, TargetKind};

use self::names::Resolver;
use self::source::Tree;

/// A pair of files with the first path by which the one depends on the other.
type Edges = BTreeMap<PathBuf, BTreeMap<PathBuf, String>>;

/// The files that each file of a target depends on; `read` gives the text of a file, or nothing where there is none.
fn edges(root: &Path, read: &dyn Fn(&Path) -> Option<String>) -> Edges {
    let tree = Tree::read(root, read);
    let resolver = Resolver::new(&tree);
    let mut edges = Edges::new();
    for (module, content) in tree.modules.iter().enumerate() {
        let mut note = |target: usize, path: &[String]| {
            let (from, to) = (&content.file, &tree.modules[target].file);
            if from != to {
                let targets = edges.entry(from.clone()).or_default();
                targets.entry(to.clone()).or_insert(path.join("::"));
            }
        };
        for import in &content.imports {
            for target in resolver.import(module, import) {
                if !(import.is_exported && tree.is_within(target, module)) {
                    note(target, &import.path);
                }
            }
        }
        for path in &content.paths {
            for target in resolver.path(module, path) {
                note(target, path);
            }
        }
        for name in &content.called_macros {
            if let Some(target) = resolver.called_macro(module, name) {
                note(target, std::slice::from_ref(name));
            }
        }
    }
    edges
}

/// The circles of a target, with one path for each dependency within them.
fn circles(root: &Path, read: &dyn Fn(&Path) -> Option<String>) -> Vec<String> {
    let edges = edges(root, read);
    let folder = root.parent().unwrap_or(Path::new(""));
    let name = |file: &Path| {
        let name = file.strip_prefix(folder).unwrap_or(file);
        name.display().to_string()
    };
    let described = |group: BTreeSet<PathBuf>| {
        let mut text = format!("{} files", group.len());
        for file in &group {
            for (target, path) in edges.get(file).into_iter().flatten() {
                if group.contains(target) {
                    text += &format!("\n    {} → {}: {path}", name(file), name(target));
                }
            }
        }
        text
    };
    groups::strongly_connected(&edges)
        .into_iter()
        .map(described)
        .collect()
}

#[test]
fn no_files_of_a_crate_import_each_other_in_circles() {
    let metadata = MetadataCommand::new().no_deps().exec().unwrap();
    let mut complaints = Vec::new();
    for package in &metadata.packages {
        let mut found = Vec::new();
        for target in &package.targets {
            if target.is_kind(TargetKind::Lib) || target.is_kind(TargetKind::Bin) {
                let read = |path: &Path| fs::read_to_string(path).ok();
                found.extend(circles(target.src_path.as_std_path(), &read));
            }
        }
        if !found.is_empty() {
            complaints.push(format!(
                "{}: {} circles\n  {}",
                package.name,
                found.len(),
                found.join("\n  ")
            ));
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}
