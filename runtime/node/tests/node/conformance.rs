//! The conformance statement agrees with the code.

use std::collections::BTreeSet;

use vesal_io::dicom::write::{RESULT_CLASSES, RESULT_SYNTAXES};
use vesal_io::dicom::{
    IMAGE_CLASSES, IMPLEMENTATION_VERSION, TransferSyntax, implementation_class,
};
use vesal_node::find::FIND;
use vesal_node::network::association::APPLICATION_CONTEXT;
use vesal_node::network::command::{VERIFICATION, status};

const STATEMENT: &str = include_str!("../../../../docs/conformance.md");

/// The cells of a column of the table after a text.
fn column(behind: &str, column: usize) -> BTreeSet<String> {
    let rest = STATEMENT.split_once(behind).expect("it is there").1;
    rest.lines()
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'))
        .skip(2)
        .map(|line| line.split('|').nth(column + 1).unwrap().trim().to_owned())
        .collect()
}

fn set<'a>(texts: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    texts.into_iter().map(str::to_owned).collect()
}

#[test]
fn classes_and_syntaxes_are_those_that_are_accepted() {
    let classes = column("Table 2.3-1", 1);
    assert_eq!(
        classes,
        set(IMAGE_CLASSES.into_iter().chain([VERIFICATION]))
    );
    assert_eq!(column("Table 2.3-1", 2), set(["SCP"]));
    let syntaxes = column("Table 2.3-2", 1);
    assert_eq!(syntaxes, TransferSyntax::uids().collect());
    for uid in &syntaxes {
        assert!(TransferSyntax::of(uid).is_some(), "{uid}");
    }
}

#[test]
fn results_are_those_that_are_written() {
    assert_eq!(column("Table 2.4-1", 1), set(RESULT_CLASSES));
    assert_eq!(column("Table 2.4-1", 2), set(RESULT_SYNTAXES));
}

#[test]
fn statuses_are_those_that_are_answered() {
    let all = status::ANSWERED.map(|status| format!("{status:04X}"));
    assert_eq!(column("Table 2.3-3", 0), all.into_iter().collect());
}

#[test]
fn what_follows_from_statuses_is_what_is_done() {
    let rows = column("Table 2.4-2", 0);
    let taken = rows.iter().find(|row| row.starts_with("0000")).unwrap();
    for (word, is_taken) in [
        ("0000", true),
        ("0001", true),
        ("0111", false),
        ("A700", false),
    ] {
        assert_eq!(taken.contains(word), is_taken, "{word}");
        let code = u16::from_str_radix(word, 16).unwrap();
        assert_eq!(status::is_taken(code), is_taken, "{word}");
    }
    assert!(taken.contains("Bxxx") && (0xb000..=0xbfff).all(status::is_taken));
    assert!(rows.contains("0111"));
}

#[test]
fn names_are_those_of_the_code() {
    let class = implementation_class();
    for name in [APPLICATION_CONTEXT, FIND, IMPLEMENTATION_VERSION, &class] {
        assert!(STATEMENT.contains(name), "{name}");
    }
    let version = env!("CARGO_PKG_VERSION");
    assert!(STATEMENT.contains(&format!("Vesal {version},")));
}
