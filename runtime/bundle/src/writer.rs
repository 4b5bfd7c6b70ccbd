//! Writing a bundle: beside its destination, manifest last, then renamed, so that it is never half written.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;
use vesal_files::{AtomicDirectory, AtomicError, digest};

use crate::bundle::{Bundle, BundleError};
use crate::manifest::{self, FileEntry, Manifest, ManifestError};
use crate::path::{self, PathError};

/// Why a bundle cannot be written.
#[derive(Debug, Error)]
pub enum BundleWriteError {
    /// The destination exists.
    #[error("`{}` exists", path.display())]
    Exists { path: PathBuf },
    /// The destination exists and is not a bundle, so it is not replaced.
    #[error("`{}` exists and is not a bundle, expected one to replace", path.display())]
    NotABundle { path: PathBuf },
    /// The path of a file breaks the rules.
    #[error(transparent)]
    Path(#[from] PathError),
    /// A file was given twice.
    #[error("the file `{file}` was given twice")]
    Twice { file: String },
    /// The manifest does not fit the files.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The finished bundle does not open.
    #[error("the new bundle is unusable")]
    Unusable(#[from] BundleError),
    /// It cannot be put in its place.
    #[error(transparent)]
    Place(#[from] AtomicError),
    /// The file system reports an error.
    #[error("cannot write `{}`", path.display())]
    Write { path: PathBuf, source: io::Error },
}

impl BundleWriteError {
    /// A remedy for the user, if there is one.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Exists { .. } => Some("`--overwrite` replaces it"),
            Self::NotABundle { .. } => Some("choose another output, or remove it yourself"),
            Self::Unusable(error) => error.hint(),
            Self::Place(error) => error.hint(),
            _ => None,
        }
    }
}

/// Collects the files of a bundle and renames it to its place.
///
/// Dropped before [`BundleWriter::finish`], it leaves no files.
#[derive(Debug)]
pub struct BundleWriter {
    destination: PathBuf,
    overwrite: bool,
    directory: AtomicDirectory,
    files: BTreeMap<String, FileEntry>,
}

impl BundleWriter {
    /// Begins a bundle for `destination`; `overwrite` permits replacing a bundle there.
    ///
    /// **Errors**: the destination exists and must not be replaced, or its parent cannot be written.
    pub fn create(destination: &Path, overwrite: bool) -> Result<Self, BundleWriteError> {
        check_destination(destination, overwrite)?;
        if let Some(parent) = destination.parent() {
            fs::create_dir_all(parent).map_err(|source| BundleWriteError::Write {
                path: destination.into(),
                source,
            })?;
        }
        Ok(Self {
            destination: destination.into(),
            overwrite,
            directory: AtomicDirectory::create(destination, overwrite)?,
            files: BTreeMap::new(),
        })
    }

    /// Adds a file.
    ///
    /// **Errors**: its path breaks the rules or was given before, or it cannot be written.
    pub fn add(&mut self, path: &str, bytes: &[u8]) -> Result<(), BundleWriteError> {
        let full = path::join(self.directory.path(), path)?;
        if self.files.contains_key(path) {
            return Err(BundleWriteError::Twice { file: path.into() });
        }
        write_new(&full, bytes).map_err(|source| BundleWriteError::Write { path: full, source })?;
        let entry = FileEntry {
            bytes: bytes.len() as u64,
            sha256: digest::sha256(bytes),
        };
        self.files.insert(path.into(), entry);
        Ok(())
    }

    /// Completes the manifest with sizes and digests, replacing its `files`, writes it, opens the bundle as a reader
    /// would, and renames it to its destination.
    ///
    /// A bundle that is replaced is moved aside first and removed last; if the process stops in between, the old bundle
    /// lies intact beside its former place.
    ///
    /// **Errors**: [`BundleWriteError`]; the destination is as before then.
    pub fn finish(self, mut manifest: Manifest) -> Result<Bundle, BundleWriteError> {
        manifest.files = self.files;
        let manifest_path = self.directory.path().join(manifest::FILE_NAME);
        write_new(&manifest_path, &manifest.to_json()?).map_err(|source| {
            BundleWriteError::Write {
                path: manifest_path,
                source,
            }
        })?;
        Bundle::open(self.directory.path())?;
        check_destination(&self.destination, self.overwrite)?;
        self.directory.commit()?;
        Ok(Bundle::open(&self.destination)?)
    }
}

fn check_destination(destination: &Path, overwrite: bool) -> Result<(), BundleWriteError> {
    if destination.symlink_metadata().is_err() {
        Ok(())
    } else if !overwrite {
        Err(BundleWriteError::Exists {
            path: destination.into(),
        })
    } else if !destination.join(manifest::FILE_NAME).is_file() {
        Err(BundleWriteError::NotABundle {
            path: destination.into(),
        })
    } else {
        Ok(())
    }
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    io::Write::write_all(&mut fs::File::create_new(path)?, bytes)
}
