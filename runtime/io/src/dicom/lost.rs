//! Files that may be slices, though nobody knows of which series.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::dicom::stack::Stack;

/// A file that cannot be used, and whose series is unknown.
pub(super) struct Lost {
    path: Arc<Path>,
    /// Whether only its name says that it may be a slice.
    if_alike: bool,
}

impl Lost {
    /// A file that is DICOM, or may well be.
    pub fn certain(path: &Arc<Path>) -> Self {
        Self {
            path: Arc::clone(path),
            if_alike: false,
        }
    }

    /// A file that may be DICOM if slices beside it have the same extension.
    pub fn if_alike(path: &Arc<Path>) -> Self {
        Self {
            path: Arc::clone(path),
            if_alike: true,
        }
    }
}

/// Where a file lies that concerns stacks beside it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Beside {
    /// Any stack with slices in this folder.
    In(PathBuf),
    /// Those with slices of this extension in this folder.
    Alike(PathBuf, Option<String>),
}

/// Lost files that concern the same stacks.
#[derive(Default)]
struct Classes {
    /// By where they lie and which DICOMDIRs name them.
    files: BTreeMap<(Beside, Vec<usize>), Vec<PathBuf>>,
}

/// Notes lost files in the stacks that they may be of: those that have slices in the same folder or are named by the
/// same DICOMDIR.
///
/// Stacks share lists of files that concern the same of them: there may be many of both.
pub(super) fn note(stacks: &mut [Stack], lost: Vec<Lost>, directories: &[BTreeSet<Arc<Path>>]) {
    if lost.is_empty() {
        return;
    }
    let naming = |path: &Path| -> Vec<usize> {
        let named = directories.iter().enumerate();
        let named = named.filter(|(_, named)| named.contains(path));
        named.map(|(index, _)| index).collect()
    };
    let mut classes = Classes::default();
    for Lost { path, if_alike } in lost {
        let folder = folder(&path);
        let beside = if if_alike {
            Beside::Alike(folder, extension(&path))
        } else {
            Beside::In(folder)
        };
        let of_class = classes.files.entry((beside, naming(&path)));
        of_class.or_default().push(path.to_path_buf());
    }
    let mut files: Vec<Arc<[PathBuf]>> = Vec::new();
    let mut by_place: BTreeMap<Beside, Vec<usize>> = BTreeMap::new();
    let mut by_directory: Vec<Vec<usize>> = vec![Vec::new(); directories.len()];
    for ((beside, named), mut of_class) in classes.files {
        of_class.sort();
        for directory in named {
            by_directory[directory].push(files.len());
        }
        by_place.entry(beside).or_default().push(files.len());
        files.push(of_class.into());
    }
    for stack in stacks {
        let mut concerned: BTreeSet<usize> = BTreeSet::new();
        let mut last: Option<&Path> = None;
        for slice in &stack.slices {
            let path = slice.path();
            if last.replace(path) == Some(path) {
                continue;
            }
            let folder = folder(path);
            let alike = Beside::Alike(folder.clone(), extension(path));
            for place in [Beside::In(folder), alike] {
                concerned.extend(by_place.get(&place).into_iter().flatten());
            }
            for directory in naming(path) {
                concerned.extend(&by_directory[directory]);
            }
        }
        let lists = concerned.into_iter().map(|class| Arc::clone(&files[class]));
        stack.unread.extend(lists);
    }
}

fn folder(path: &Path) -> PathBuf {
    path.parent().unwrap_or(Path::new("")).to_owned()
}

/// The extension of a file, in lower case; none where it is a number, as of files that are called by a UID.
fn extension(path: &Path) -> Option<String> {
    let extension = path.extension()?.to_string_lossy().to_lowercase();
    extension
        .contains(|character: char| !character.is_ascii_digit())
        .then_some(extension)
}
