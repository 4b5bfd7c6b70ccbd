//! No name stands for two types of the workspace: a reader who searches for a name finds one definition.
//!
//! **Definition**: structs, enums, unions, traits and type aliases count that a module shows to others (`pub`,
//! `pub(crate)`, `pub(super)` or `pub(in …)`). Types that are private to a module do not, nor those of tests and their
//! support.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use cargo_metadata::{MetadataCommand, TargetKind};
use syn::{Ident, Item, Visibility};

use crate::circles::source::Tree;
use crate::circles::syntax::{attributes, is_for_tests};

/// Names that more than one type has, how many, and why.
const ALLOWED: &[(&str, usize, &str)] = &[
    ("Cli", 2, "the command line of each program"),
    ("Command", 2, "the subcommands of each program"),
    (
        "BenchArguments",
        2,
        "the flags of `vesal bench` and of `vesal-train bench`",
    ),
];

/// The names of the types that some items show to other modules.
fn shown_types(items: &[Item], found: &mut Vec<String>) {
    for item in items.iter().filter(|item| !is_for_tests(attributes(item))) {
        let named: Option<(&Visibility, &Ident)> = match item {
            Item::Enum(item) => Some((&item.vis, &item.ident)),
            Item::Struct(item) => Some((&item.vis, &item.ident)),
            Item::Trait(item) => Some((&item.vis, &item.ident)),
            Item::Type(item) => Some((&item.vis, &item.ident)),
            Item::Union(item) => Some((&item.vis, &item.ident)),
            _ => None,
        };
        if let Some((visibility, name)) = named
            && !matches!(visibility, Visibility::Inherited)
        {
            found.push(name.to_string());
        }
        if let Item::Mod(module) = item
            && let Some((_, items)) = &module.content
        {
            shown_types(items, found);
        }
    }
}

/// The names that several types have, with a line for each type.
fn repeated(definitions: &[(String, String)]) -> BTreeMap<&str, Vec<&str>> {
    let mut places: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, place) in definitions {
        places.entry(name).or_default().push(place);
    }
    places.retain(|_, places| places.len() > 1);
    places
}

#[test]
fn no_two_types_have_one_name() {
    let metadata = MetadataCommand::new().no_deps().exec().unwrap();
    let root = metadata.workspace_root.as_std_path();
    let mut files = BTreeSet::new();
    for target in metadata
        .packages
        .iter()
        .flat_map(|package| &package.targets)
    {
        if target.is_kind(TargetKind::Lib) || target.is_kind(TargetKind::Bin) {
            let read = |path: &Path| fs::read_to_string(path).ok();
            let tree = Tree::read(target.src_path.as_std_path(), &read);
            files.extend(tree.modules.into_iter().map(|module| module.file));
        }
    }
    let mut definitions = Vec::new();
    let is_for_tests = |file: &Path| {
        let path = file.strip_prefix(root).unwrap_or(file);
        path.components().any(|part| part.as_os_str() == "tests")
    };
    files.retain(|file| !is_for_tests(file));
    for file in &files {
        let parsed = syn::parse_file(&fs::read_to_string(file).unwrap()).unwrap();
        let mut names = Vec::new();
        shown_types(&parsed.items, &mut names);
        let place = file
            .strip_prefix(root)
            .unwrap_or(file)
            .display()
            .to_string();
        definitions.extend(names.into_iter().map(|name| (name, place.clone())));
    }
    assert!(definitions.len() > 500, "types were found");

    let mut repeated = repeated(&definitions);
    let mut complaints = Vec::new();
    for (name, expected, _) in ALLOWED {
        let found = repeated.remove(name).map_or(1, |places| places.len());
        if found != *expected {
            complaints.push(format!("{name}: {found} types, ALLOWED says {expected}"));
        }
    }
    for (name, places) in repeated {
        complaints.push(format!("{name} is defined in {}", places.join(" and in ")));
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn types_of_tests_and_private_types_do_not_count() {
    let source =
        "pub struct A; struct A; pub(crate) enum B { One } #[cfg(test)] mod tests { pub struct A; }
        mod inner { pub(super) trait C {} pub type D = A; } pub fn e() { struct F; }";
    let mut found = Vec::new();
    shown_types(&syn::parse_file(source).unwrap().items, &mut found);
    assert_eq!(found, ["A", "B", "C", "D"]);

    let place = |name: &str, place: &str| (name.to_owned(), place.to_owned());
    let definitions = [place("A", "a.rs"), place("B", "a.rs"), place("A", "b.rs")];
    assert_eq!(
        repeated(&definitions),
        BTreeMap::from([("A", vec!["a.rs", "b.rs"])])
    );
}
