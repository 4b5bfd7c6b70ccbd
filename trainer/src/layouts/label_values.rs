//! The labels of label maps, where nothing else names the classes.

use std::collections::BTreeSet;
use std::path::Path;

use rayon::prelude::*;
use vesal_io::image::{ImageError, read_label_map};

use super::class_list::ClassList;
use super::error::LayoutError;
use super::oddity::{Oddity, OddityKind};

/// Reads all label maps and returns their labels as classes. Memory is that of one label map for each thread.
///
/// **Errors**: none of them can be read, or all are empty.
pub(super) fn read(
    root: &Path,
    files: &[&str],
    oddities: &mut Vec<Oddity>,
) -> Result<ClassList, LayoutError> {
    let read: Vec<Result<BTreeSet<u16>, ImageError>> = files
        .par_iter()
        .map(|file| labels(&root.join(file)))
        .collect();
    let mut all = BTreeSet::new();
    let (mut unreadable, mut empty) = (Vec::new(), Vec::new());
    let mut first = None;
    for (file, labels) in files.iter().zip(read) {
        match labels {
            Ok(labels) if labels.is_empty() => empty.push((*file).to_owned()),
            Ok(labels) => all.extend(labels),
            Err(error) => {
                first.get_or_insert_with(|| error.to_string());
                unreadable.push((*file).to_owned());
            }
        }
    }
    if let Some(first) = first.filter(|_| unreadable.len() == files.len()) {
        let found = files.len();
        return Err(LayoutError::NoReadableLabels { found, first });
    }
    for (kind, files) in [
        (OddityKind::UnreadableLabels, unreadable),
        (OddityKind::NoLabelsFound, empty),
    ] {
        if !files.is_empty() {
            oddities.push(Oddity::new(kind, files));
        }
    }
    match all.is_empty() {
        true => Err(LayoutError::NoClasses),
        false => Ok(ClassList::of_labels(all)),
    }
}

/// All labels of a file but background.
fn labels(path: &Path) -> Result<BTreeSet<u16>, ImageError> {
    let map = read_label_map(path)?;
    let mut found = BTreeSet::new();
    let mut last = 0;
    for &label in &map.data {
        if label != last {
            found.insert(label);
            last = label;
        }
    }
    found.remove(&0);
    Ok(found)
}
