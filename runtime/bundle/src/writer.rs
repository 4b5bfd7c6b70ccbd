//! Writing a bundle: beside its destination, manifest last, then renamed, so that it is never half written.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use thiserror::Error;

use crate::bundle::{Bundle, BundleError};
use crate::digest;
use crate::document;
use crate::manifest::{self, FileEntry, Manifest, ManifestError};
use crate::path::{self, PathError};

/// Why a bundle cannot be written.
#[derive(Debug, Error)]
pub enum WriteError {
    /// Something is there already.
    #[error("`{}` exists", path.display())]
    Exists {
        /// The destination.
        path: PathBuf,
    },
    /// What is there is no bundle, so that it is not replaced.
    #[error("`{}` exists and is no bundle, expected one to replace", path.display())]
    NotABundle {
        /// The destination.
        path: PathBuf,
    },
    /// The path of a file breaks the rules.
    #[error(transparent)]
    Path(#[from] PathError),
    /// A file was given twice.
    #[error("the file `{file}` was given twice")]
    Twice {
        /// The file.
        file: String,
    },
    /// The manifest does not fit the files.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The finished bundle does not open.
    #[error("the new bundle is unusable")]
    Unusable(#[from] BundleError),
    /// The file system refuses.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl WriteError {
    /// A remedy, where there is one.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Exists { .. } => Some("`--overwrite` replaces it"),
            Self::NotABundle { .. } => Some("choose another output, or remove it yourself"),
            Self::Unusable(error) => error.hint(),
            _ => None,
        }
    }
}

/// Collects the files of a bundle and puts it in its place at once.
///
/// Dropped before [`BundleWriter::finish`], it leaves nothing behind.
#[derive(Debug)]
pub struct BundleWriter {
    destination: PathBuf,
    overwrite: bool,
    parent: PathBuf,
    directory: TempDir,
    files: BTreeMap<String, FileEntry>,
}

impl BundleWriter {
    /// Begins a bundle that will lie at `destination`; `overwrite` allows to replace a bundle there.
    ///
    /// **Errors**: the destination exists and must not be replaced, or its parent cannot be written.
    pub fn create(destination: &Path, overwrite: bool) -> Result<Self, WriteError> {
        check_destination(destination, overwrite)?;
        let parent = match destination.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
            _ => PathBuf::from("."),
        };
        let write = |source| WriteError::Write {
            path: destination.into(),
            source,
        };
        fs::create_dir_all(&parent).map_err(write)?;
        let mut builder = tempfile::Builder::new();
        document::share(&mut builder, 0o777);
        let directory = builder
            .prefix(".vesal-bundle-")
            .tempdir_in(&parent)
            .map_err(write)?;
        Ok(Self {
            destination: destination.into(),
            overwrite,
            parent,
            directory,
            files: BTreeMap::new(),
        })
    }

    /// Adds a file.
    ///
    /// **Errors**: its path breaks the rules or was given before, or it cannot be written.
    pub fn add(&mut self, path: &str, bytes: &[u8]) -> Result<(), WriteError> {
        let full = path::join(self.directory.path(), path)?;
        if self.files.contains_key(path) {
            return Err(WriteError::Twice { file: path.into() });
        }
        write_synced(&full, bytes).map_err(|source| WriteError::Write { path: full, source })?;
        let entry = FileEntry {
            bytes: bytes.len() as u64,
            sha256: digest::sha256(bytes),
        };
        self.files.insert(path.into(), entry);
        Ok(())
    }

    /// Completes the manifest with sizes and digests (whatever its `files` hold), writes it, opens the bundle as a
    /// reader would, and renames it to its destination.
    ///
    /// A bundle that is replaced is moved aside first and removed last; if this stops in between, it lies beside its
    /// old place, whole.
    ///
    /// **Errors**: [`WriteError`]; the destination is as before then.
    pub fn finish(self, mut manifest: Manifest) -> Result<Bundle, WriteError> {
        manifest.files = self.files;
        let staged = self.directory.path();
        let manifest_path = staged.join(manifest::FILE_NAME);
        write_synced(&manifest_path, &manifest.to_json()?).map_err(|source| WriteError::Write {
            path: manifest_path,
            source,
        })?;
        sync_directory(staged);
        Bundle::open(staged)?;
        check_destination(&self.destination, self.overwrite)?;
        let write = |source| WriteError::Write {
            path: self.destination.clone(),
            source,
        };
        let replaced = if self.destination.exists() {
            let aside = tempfile::Builder::new()
                .prefix(".vesal-replaced-")
                .tempdir_in(&self.parent)
                .map_err(write)?;
            fs::rename(&self.destination, aside.path().join("bundle")).map_err(write)?;
            Some(aside)
        } else {
            None
        };
        if let Err(source) = fs::rename(staged, &self.destination) {
            if let Some(aside) = replaced {
                // Should even this fail, the old bundle stays where it is.
                let kept = aside.keep();
                if fs::rename(kept.join("bundle"), &self.destination).is_ok() {
                    let _ = fs::remove_dir(kept);
                }
            }
            return Err(write(source));
        }
        sync_directory(&self.parent);
        Ok(Bundle::open(&self.destination)?)
    }
}

fn check_destination(destination: &Path, overwrite: bool) -> Result<(), WriteError> {
    if destination.symlink_metadata().is_err() {
        Ok(())
    } else if !overwrite {
        Err(WriteError::Exists {
            path: destination.into(),
        })
    } else if !destination.join(manifest::FILE_NAME).is_file() {
        Err(WriteError::NotABundle {
            path: destination.into(),
        })
    } else {
        Ok(())
    }
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut file = File::create_new(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Makes renames durable where the system can; where it cannot, the files themselves are synced all the same.
fn sync_directory(directory: &Path) {
    if let Ok(handle) = File::open(directory) {
        let _ = handle.sync_all();
    }
}
