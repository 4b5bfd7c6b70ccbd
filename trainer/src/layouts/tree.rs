//! The image files of a folder and those below it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use vesal_io::image::{case_name, has_ending};

use super::error::LayoutError;
use super::oddity::{Oddity, OddityKind};

/// Deepest folders that are searched.
const DEPTH_MAX: usize = 8;

/// Most files and folders that are looked at.
const ENTRIES_MAX: usize = 2_000_000;

/// An image file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TreeFile {
    /// Its path below the folder, with `/`.
    pub path: String,
    /// Its file name without the ending.
    pub stem: String,
}

impl TreeFile {
    pub fn new(path: String) -> Self {
        let stem = case_name(Path::new(&path)).unwrap_or_default();
        Self { path, stem }
    }

    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// The ending of its name.
    pub fn ending(&self) -> &str {
        self.name().strip_prefix(&self.stem).unwrap_or_default()
    }
}

/// The image files of a folder and those below it, by folder.
#[derive(Debug, Default)]
pub(super) struct ImageTree {
    pub root: PathBuf,
    /// Paths of folders below the root, `` for the root itself, with their image files; all sorted.
    folders: BTreeMap<String, Vec<TreeFile>>,
    ignored: Vec<String>,
    not_text: Vec<String>,
}

impl ImageTree {
    /// Lists a folder. Hidden files and folders are left out.
    pub fn read(root: &Path) -> Result<Self, LayoutError> {
        let mut tree = Self {
            root: root.to_owned(),
            ..Self::default()
        };
        let mut entries = 0;
        let mut seen = BTreeSet::new();
        let mut open = vec![(root.to_owned(), String::new(), 0)];
        while let Some((folder, below, depth)) = open.pop() {
            let failed = |source| LayoutError::Folder {
                path: folder.clone(),
                source,
            };
            // A link may lead back to a folder above it.
            if !seen.insert(folder.canonicalize().map_err(failed)?) {
                continue;
            }
            let mut files = Vec::new();
            for entry in fs::read_dir(&folder).map_err(failed)? {
                let entry = entry.map_err(failed)?;
                entries += 1;
                if entries > ENTRIES_MAX {
                    return Err(LayoutError::TooMany { limit: ENTRIES_MAX });
                }
                let name = entry.file_name();
                let join = |name: &str| match below.as_str() {
                    "" => name.to_owned(),
                    below => format!("{below}/{name}"),
                };
                let Some(name) = name.to_str() else {
                    tree.not_text.push(join(&name.to_string_lossy()));
                    continue;
                };
                if name.starts_with('.') || name == "__MACOSX" {
                    if name.starts_with("._") || name == "__MACOSX" {
                        tree.ignored.push(join(name));
                    }
                    continue;
                }
                let path = entry.path();
                if path.is_dir() {
                    if depth < DEPTH_MAX {
                        open.push((path, join(name), depth + 1));
                    }
                } else if has_ending(name) && path.is_file() {
                    files.push(TreeFile::new(join(name)));
                }
            }
            files.sort();
            tree.folders.insert(below, files);
        }
        tree.ignored.sort();
        Ok(tree)
    }

    /// What is odd about names of files, whatever the layout is.
    pub fn oddities(&self) -> Vec<Oddity> {
        let kinds = [
            (OddityKind::MacFiles, &self.ignored),
            (OddityKind::NotText, &self.not_text),
        ];
        let odd = kinds.into_iter().filter(|(_, files)| !files.is_empty());
        odd.map(|(kind, files)| Oddity::new(kind, files.clone()))
            .collect()
    }

    /// Image files directly in a folder; none where it does not exist.
    pub fn files(&self, folder: &str) -> &[TreeFile] {
        self.folders.get(folder).map_or(&[], Vec::as_slice)
    }

    /// All folders with their image files.
    pub fn folders(&self) -> impl Iterator<Item = (&str, &[TreeFile])> {
        let folders = self.folders.iter();
        folders.map(|(folder, files)| (folder.as_str(), files.as_slice()))
    }

    /// Paths of the folders directly in the root.
    pub fn subfolders(&self) -> impl Iterator<Item = &str> {
        let folders = self.folders.keys().map(String::as_str);
        folders.filter(|folder| !folder.is_empty() && !folder.contains('/'))
    }

    /// The first folder in the root whose name is one of these words, in any case.
    pub fn subfolder(&self, words: &[&str]) -> Option<&str> {
        let named = |word: &&str| {
            self.subfolders()
                .find(|folder| folder.eq_ignore_ascii_case(word))
        };
        words.iter().find_map(named)
    }

    /// Number of image files.
    pub fn images(&self) -> usize {
        self.folders.values().map(Vec::len).sum()
    }

    /// Folders with a file of this name.
    pub fn with_file(&self, name: &str) -> Vec<&str> {
        let folders = self.folders.keys().map(String::as_str);
        folders
            .filter(|folder| self.root.join(folder).join(name).is_file())
            .collect()
    }
}
