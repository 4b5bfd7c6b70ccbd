//! Files that may be slices but whose series is unknown.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::dicom::stack::Stack;

/// A file that cannot be used and whose series is unknown.
pub(super) struct UnassignedFile {
    path: Arc<Path>,
    /// Whether it counts as a slice only beside slices with the same extension.
    by_extension: bool,
}

impl UnassignedFile {
    /// A file that is or may be DICOM, independently of its name.
    pub fn of_any_name(path: &Arc<Path>) -> Self {
        Self {
            path: Arc::clone(path),
            by_extension: false,
        }
    }

    /// A file that may be DICOM if slices in its folder have the same extension.
    pub fn of_same_extension(path: &Arc<Path>) -> Self {
        Self {
            path: Arc::clone(path),
            by_extension: true,
        }
    }
}

/// The stacks that an unassigned file may belong to, by its location.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Candidates {
    /// Any stack with slices in this folder.
    Folder(PathBuf),
    /// Stacks with slices of this extension in this folder.
    FolderAndExtension(PathBuf, Option<String>),
}

/// Unassigned files by their candidates and by the indices of the DICOMDIRs that name them.
type FileGroups = BTreeMap<(Candidates, Vec<usize>), Vec<PathBuf>>;

/// Adds each unassigned file to the unread files of the stacks that it may belong to: those that have slices in the
/// same folder or are named by the same DICOMDIR.
///
/// Files with the same candidates are one list, which all of these stacks share: there may be many files and stacks.
pub(super) fn assign(
    stacks: &mut [Stack],
    unassigned: Vec<UnassignedFile>,
    directories: &[BTreeSet<Arc<Path>>],
) {
    if unassigned.is_empty() {
        return;
    }
    let naming = |path: &Path| -> Vec<usize> {
        let named = directories.iter().enumerate();
        let named = named.filter(|(_, named)| named.contains(path));
        named.map(|(index, _)| index).collect()
    };
    let mut groups = FileGroups::new();
    for UnassignedFile { path, by_extension } in unassigned {
        let folder = folder(&path);
        let candidates = if by_extension {
            Candidates::FolderAndExtension(folder, extension(&path))
        } else {
            Candidates::Folder(folder)
        };
        let group = groups.entry((candidates, naming(&path)));
        group.or_default().push(path.to_path_buf());
    }
    let mut files: Vec<Arc<[PathBuf]>> = Vec::new();
    let mut by_location: BTreeMap<Candidates, Vec<usize>> = BTreeMap::new();
    let mut by_directory: Vec<Vec<usize>> = vec![Vec::new(); directories.len()];
    for ((candidates, named), mut group) in groups {
        group.sort();
        for directory in named {
            by_directory[directory].push(files.len());
        }
        by_location.entry(candidates).or_default().push(files.len());
        files.push(group.into());
    }
    for stack in stacks {
        let mut groups: BTreeSet<usize> = BTreeSet::new();
        let mut last: Option<&Path> = None;
        for slice in &stack.slices {
            let path = slice.path();
            if last.replace(path) == Some(path) {
                continue;
            }
            let folder = folder(path);
            let same_extension = Candidates::FolderAndExtension(folder.clone(), extension(path));
            for candidates in [Candidates::Folder(folder), same_extension] {
                groups.extend(by_location.get(&candidates).into_iter().flatten());
            }
            for directory in naming(path) {
                groups.extend(&by_directory[directory]);
            }
        }
        let lists = groups.into_iter().map(|group| Arc::clone(&files[group]));
        stack.unread.extend(lists);
    }
}

fn folder(path: &Path) -> PathBuf {
    path.parent().unwrap_or(Path::new("")).to_owned()
}

/// The extension of a file in lower case; `None` where it is a number, because the name is a UID.
fn extension(path: &Path) -> Option<String> {
    let extension = path.extension()?.to_string_lossy().to_lowercase();
    extension
        .contains(|character: char| !character.is_ascii_digit())
        .then_some(extension)
}
