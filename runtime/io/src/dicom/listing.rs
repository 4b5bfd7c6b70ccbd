//! Lists the files below the given paths.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::dicom::directory;
use crate::dicom::error::DicomError;
use crate::dicom::skipped::{SkipReason, Skipped};
use crate::dicom::unassigned::UnassignedFile;

/// The files to read, and those that are already known to be unusable.
#[derive(Default)]
pub(super) struct Listing {
    pub files: BTreeSet<Arc<Path>>,
    pub skipped: Vec<Skipped>,
    pub unassigned: Vec<UnassignedFile>,
    /// The files that each DICOMDIR names.
    pub directories: Vec<BTreeSet<Arc<Path>>>,
}

impl Listing {
    /// Adds a file, all files below a folder, or the files that a DICOMDIR names.
    pub fn add(&mut self, path: &Path) -> Result<(), DicomError> {
        let metadata = path.metadata().map_err(DicomError::io(path))?;
        if metadata.is_dir() {
            return self.add_folder(path);
        }
        // Reading a pipe or a device may block forever.
        if !metadata.is_file() {
            return Err(DicomError::Irregular {
                path: path.to_owned(),
            });
        }
        match directory::named(path)? {
            Some(named) => {
                self.add_directory(path.to_owned(), &named);
                self.directories.push(named);
            }
            None => {
                self.files.insert(path.into());
            }
        }
        Ok(())
    }

    /// Adds the files that a DICOMDIR names.
    fn add_directory(&mut self, directory: PathBuf, named: &BTreeSet<Arc<Path>>) {
        self.skip(directory, SkipReason::Directory);
        for path in named {
            if path.is_file() {
                self.files.insert(Arc::clone(path));
            } else {
                self.unassigned.push(UnassignedFile::of_any_name(path));
                self.skip(path.to_path_buf(), SkipReason::Absent);
            }
        }
    }

    /// Adds the files below a folder, and those that a DICOMDIR among them names. An absent file that it names affects
    /// only the slices in the same folder, because whole folders of a medium may have been left out on purpose.
    fn add_folder(&mut self, top: &Path) -> Result<(), DicomError> {
        let mut folders = vec![top.to_owned()];
        while let Some(folder) = folders.pop() {
            let entries = match fs::read_dir(&folder) {
                Ok(entries) => entries,
                Err(reason) if folder != top => {
                    self.skip(folder, SkipReason::Io(reason));
                    continue;
                }
                Err(reason) => return Err(DicomError::io(&folder)(reason)),
            };
            for entry in entries {
                let entry = entry.map_err(DicomError::io(&folder))?;
                let path = entry.path();
                if entry.file_type().map_err(DicomError::io(&path))?.is_dir() {
                    folders.push(path);
                } else {
                    self.add_entry(path);
                }
            }
        }
        Ok(())
    }

    /// Adds an entry of a folder that is not a folder itself; it may be a link to one.
    fn add_entry(&mut self, path: PathBuf) {
        match path.metadata() {
            Ok(metadata) if metadata.is_file() => {
                if is_directory(&path)
                    && let Ok(Some(named)) = directory::named(&path)
                {
                    self.add_directory(path, &named);
                } else {
                    self.files.insert(path.into());
                }
            }
            Ok(metadata) if metadata.is_dir() => self.skip(path, SkipReason::LinkedFolder),
            Ok(_) => self.skip(path, SkipReason::Irregular),
            Err(_) if path.is_symlink() => {
                self.unassigned
                    .push(UnassignedFile::of_same_extension(&path.as_path().into()));
                self.skip(path, SkipReason::BrokenLink);
            }
            Err(reason) => {
                self.unassigned
                    .push(UnassignedFile::of_any_name(&path.as_path().into()));
                self.skip(path, SkipReason::Io(reason));
            }
        }
    }

    fn skip(&mut self, path: PathBuf, reason: SkipReason) {
        self.skipped.push(Skipped { path, reason });
    }
}

/// Whether a file is named as a DICOMDIR (PS3.10 8.6).
fn is_directory(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.eq_ignore_ascii_case("DICOMDIR"))
}
