//! The resolver on synthetic sources.

use std::collections::BTreeMap;
use std::path::Path;

use super::{circles, edges};

/// A crate of these files.
fn files(files: &[(&str, &str)]) -> impl Fn(&Path) -> Option<String> {
    let files: BTreeMap<String, String> = files
        .iter()
        .map(|(path, text)| (format!("src/{path}"), (*text).to_owned()))
        .collect();
    move |path| files.get(path.to_str()?).cloned()
}

fn circles_of(sources: &[(&str, &str)]) -> Vec<String> {
    circles(Path::new("src/lib.rs"), &files(sources))
}

/// The dependencies as lines `from → to`.
fn edges_of(sources: &[(&str, &str)]) -> Vec<String> {
    let found = edges(Path::new("src/lib.rs"), &files(sources));
    let short = |path: &Path| path.display().to_string().replace("src/", "");
    let lines = found.iter().flat_map(|(from, targets)| {
        let line = move |to: &Path| format!("{} → {}", short(from), short(to));
        targets.keys().map(move |to| line(to))
    });
    lines.collect()
}

#[test]
fn files_that_import_each_other_are_a_circle() {
    let found = circles_of(&[
        ("lib.rs", "mod a; mod b; mod c;"),
        ("a.rs", "use crate::b::B; pub struct A(B);"),
        (
            "b.rs",
            "pub struct B; pub fn make() -> crate::a::A { crate::a::A(B) }",
        ),
        ("c.rs", "use crate::a::A;"),
    ]);
    assert_eq!(
        found,
        ["2 files\n    a.rs → b.rs: crate::b::B\n    b.rs → a.rs: crate::a::A"]
    );
}

#[test]
fn longer_circles_are_found_once() {
    let found = circles_of(&[
        ("lib.rs", "mod a; mod b; mod c; mod d; mod e;"),
        ("a.rs", "use super::b::B; pub struct A;"),
        ("b.rs", "use super::c::C; pub struct B;"),
        ("c.rs", "use super::a::A; pub struct C;"),
        ("d.rs", "use super::e::E; pub struct D;"),
        ("e.rs", "use super::d::D; pub struct E;"),
    ]);
    let sizes: Vec<_> = found.iter().map(|text| text.split('\n').next()).collect();
    assert_eq!(sizes, [Some("3 files"), Some("2 files")]);
}

#[test]
fn a_parent_that_re_exports_its_children_is_in_no_circle_with_them() {
    let sources = [
        (
            "lib.rs",
            "mod a; pub use a::{A, Error}; pub use a::inner::Inner;",
        ),
        (
            "a.rs",
            "pub mod inner; pub struct Error; pub struct A(inner::Inner);",
        ),
        ("a/inner.rs", "pub struct Inner(crate::Error);"),
    ];
    // The circle is the one between `a` and its child, which uses what `a` itself defines.
    assert_eq!(
        edges_of(&sources),
        ["a/inner.rs → a.rs", "a.rs → a/inner.rs"]
    );
}

#[test]
fn a_re_export_is_followed_to_the_definition() {
    let sources = [
        ("lib.rs", "mod a; mod b;"),
        (
            "a/mod.rs",
            "mod deep; mod globbed; pub use deep::Deep as Renamed; pub use globbed::*;",
        ),
        ("a/deep.rs", "pub struct Deep;"),
        ("a/globbed.rs", "pub enum Globbed { One }"),
        (
            "b.rs",
            "use crate::a::Renamed; fn f() -> crate::a::Globbed { crate::a::Globbed::One }",
        ),
    ];
    assert_eq!(
        edges_of(&sources),
        ["b.rs → a/deep.rs", "b.rs → a/globbed.rs"]
    );
}

#[test]
fn a_circle_through_a_re_export_is_found() {
    let found = circles_of(&[
        ("lib.rs", "mod a; mod b; pub use b::B;"),
        ("a.rs", "use crate::B; pub struct A;"),
        ("b.rs", "use crate::a::A; pub struct B;"),
    ]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("2 files"), "{found:?}");
}

#[test]
fn a_parent_that_uses_what_it_re_exports_depends_on_it() {
    let sources = [
        (
            "lib.rs",
            "mod a; pub use a::make; pub struct Root; fn f() { make(); }",
        ),
        ("a.rs", "use super::Root; pub fn make() -> Root { Root }"),
    ];
    assert_eq!(circles_of(&sources).len(), 1);
    let sources = [
        (
            "lib.rs",
            "mod a; pub use a::make; pub struct Root; fn f(make: u8) { make; }",
        ),
        ("a.rs", "use super::Root; pub fn make() -> Root { Root }"),
    ];
    assert_eq!(edges_of(&sources), ["a.rs → lib.rs"]);
}

#[test]
fn paths_are_found_wherever_they_stand() {
    for code in [
        "fn f() { crate::b::make(); }",
        "fn f() { println!(\"{}\", crate::b::make()); }",
        "fn f() { use crate::b; b::make(); }",
        "use crate::b::{self as other}; fn f() { other::make(); }",
        "struct S { field: Vec<Option<crate::b::B>> }",
        "fn f(of: impl Fn() -> super::b::B) {}",
        "impl From<crate::b::B> for S { } struct S;",
        "#[error(\"{}\", crate::b::make())] struct S;",
        "use crate::b::*; fn f() -> B { B }",
        "mod inline { fn f() { super::super::b::make(); } }",
        "macro_rules! m { () => { $crate::b::make() } }",
        "fn f() { made!(); }",
    ] {
        let sources = [
            ("lib.rs", "#[macro_use] mod b; mod a;"),
            ("a.rs", code),
            ("b.rs", "pub struct B; pub fn make() -> B { B }"),
        ];
        let expected: &[&str] = match code.contains("made!") {
            true => &[],
            false => &["a.rs → b.rs"],
        };
        assert_eq!(edges_of(&sources), expected, "{code}");
    }
    let sources = [
        ("lib.rs", "macro_rules! made { () => {} } mod a;"),
        ("a.rs", "fn f() { made!(); }"),
    ];
    assert_eq!(edges_of(&sources), ["a.rs → lib.rs"]);
}

#[test]
fn code_of_tests_does_not_count() {
    let sources = [
        ("lib.rs", "mod a; mod b; #[cfg(test)] mod tests;"),
        ("a.rs", "use crate::b::B; pub struct A;"),
        (
            "b.rs",
            "pub struct B; #[cfg(test)] use crate::a::A; #[cfg(all(test, unix))] mod tests { use crate::a::A; }
             impl B { #[cfg(test)] fn a() -> crate::a::A { crate::a::A } } #[test] fn t() { crate::a::A; }",
        ),
    ];
    assert_eq!(edges_of(&sources), ["a.rs → b.rs"]);
}

#[test]
fn names_of_other_crates_and_of_variables_are_no_files() {
    let sources = [
        ("lib.rs", "mod std_like; mod a;"),
        ("std_like.rs", "pub fn drop() {}"),
        (
            "a.rs",
            "use std::mem::drop; use ::std_like::x; fn f(std_like: u8) { drop(std_like); T::default(); std_like; }",
        ),
    ];
    assert_eq!(edges_of(&sources), [""; 0]);
}
