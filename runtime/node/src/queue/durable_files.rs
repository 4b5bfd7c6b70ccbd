//! The changes that the queue makes on disk, one step at a time.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use vesal_files::atomic::{self, AtomicError};

/// Makes durable changes; tests let it fail after a number of steps.
#[derive(Debug, Default)]
pub struct DurableFiles {
    #[cfg(test)]
    pub fuse: Option<std::sync::atomic::AtomicI64>,
    /// Folders that were synced, in order.
    #[cfg(test)]
    pub synced: std::sync::Mutex<Vec<std::path::PathBuf>>,
}

impl DurableFiles {
    /// Fails in tests, this step and all that follow, as if the machine had lost power.
    fn step(&self) -> io::Result<()> {
        #[cfg(test)]
        if let Some(fuse) = &self.fuse
            && fuse.fetch_sub(1, std::sync::atomic::Ordering::SeqCst) <= 0
        {
            return Err(io::Error::other("the power is gone"));
        }
        Ok(())
    }

    /// Writes a file atomically, replacing an existing one.
    pub fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.step()?;
        atomic::write_file(path, bytes, true).map_err(reason)
    }

    /// Writes a file atomically that only its owner may read.
    pub fn write_private(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.step()?;
        atomic::write_private(path, bytes).map_err(reason)
    }

    /// Creates a folder unless it exists.
    pub fn create_folder(&self, path: &Path) -> io::Result<()> {
        if path.is_dir() {
            return Ok(());
        }
        self.step()?;
        fs::create_dir(path)?;
        match path.parent() {
            Some(parent) => self.sync_folder(parent),
            None => Ok(()),
        }
    }

    /// Renames a file or folder, replacing an existing file.
    pub fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step()?;
        fs::rename(from, to)
    }

    /// Removes a file; it may be gone.
    pub fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.step()?;
        absent_is_fine(fs::remove_file(path))
    }

    /// Removes a folder with all that is in it; it may be gone.
    pub fn remove_folder(&self, path: &Path) -> io::Result<()> {
        if path.symlink_metadata().is_err() {
            return Ok(());
        }
        self.step()?;
        absent_is_fine(fs::remove_dir_all(path))
    }

    /// Makes sure that the names in a folder survive a loss of power.
    pub fn sync_folder(&self, path: &Path) -> io::Result<()> {
        #[cfg(test)]
        self.synced.lock().unwrap().push(path.to_owned());
        if cfg!(unix) {
            File::open(path)?.sync_all()
        } else {
            Ok(())
        }
    }
}

fn reason(error: AtomicError) -> io::Error {
    match error {
        AtomicError::Io { reason, .. } => reason,
        error => io::Error::other(error),
    }
}

fn absent_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(reason) if reason.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}
