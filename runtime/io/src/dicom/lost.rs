//! Files that may be slices, though nobody knows of which series.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::dicom::stack::Stack;

/// A file that cannot be used, and whose series is unknown.
pub(super) struct Lost {
    path: PathBuf,
    /// Whether only its name says that it may be a slice.
    if_alike: bool,
}

impl Lost {
    /// A file that is DICOM, or may well be.
    pub fn certain(path: &Path) -> Self {
        let path = path.to_owned();
        Self {
            path,
            if_alike: false,
        }
    }

    /// A file that may be DICOM if slices beside it have the same extension.
    pub fn if_alike(path: &Path) -> Self {
        let path = path.to_owned();
        Self {
            path,
            if_alike: true,
        }
    }
}

/// Notes lost files in the stacks that they may be of: those that have slices in the same folder or are named by the
/// same DICOMDIR.
pub(super) fn note(stacks: &mut [Stack], lost: &[Lost], directories: &[BTreeSet<PathBuf>]) {
    if lost.is_empty() {
        return;
    }
    for stack in stacks {
        let files: BTreeSet<&Path> = stack.slices.iter().map(|slice| slice.path()).collect();
        let folders: BTreeSet<_> = files.iter().map(|file| file.parent()).collect();
        let names: BTreeSet<_> = files
            .iter()
            .map(|file| (file.parent(), extension(file)))
            .collect();
        let named: Vec<_> = directories
            .iter()
            .filter(|named| files.iter().any(|file| named.contains(*file)))
            .collect();
        let concerned = |file: &&Lost| {
            let folder = file.path.parent();
            let beside = if file.if_alike {
                names.contains(&(folder, extension(&file.path)))
            } else {
                folders.contains(&folder)
            };
            beside || named.iter().any(|named| named.contains(&file.path))
        };
        let lost = lost.iter().filter(concerned).map(|file| file.path.clone());
        let lost: Vec<_> = lost.collect();
        stack.unread.extend(lost);
        stack.unread.sort();
    }
}

/// The extension of a file, in lower case; none where it is a number, as of files that are called by a UID.
fn extension(path: &Path) -> Option<String> {
    let extension = path.extension()?.to_string_lossy().to_lowercase();
    extension
        .contains(|character: char| !character.is_ascii_digit())
        .then_some(extension)
}
