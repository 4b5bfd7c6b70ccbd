//! What a storage folder holds, without a change to it.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

use crate::config::Config;
use crate::queue::folder::{NoteError, names};
use crate::queue::job::VERSION;
use crate::queue::secret::Secret;
use crate::queue::{Folder, Job, Key, OpenError, Queue};

/// The folder of a job, and what is noted there.
#[derive(Debug)]
pub struct Noted {
    pub key: Key,
    pub folder: Folder,
    pub job: Result<Job, NoteError>,
}

/// Reads the notes of a storage folder's jobs, of which there may be none.
///
/// **Errors**: the folder of jobs cannot be listed; a note is of another version; there are notes and no key.
pub fn notes(storage: &Path) -> Result<Vec<Noted>, OpenError> {
    let jobs = storage.join("jobs");
    let folders = names(&jobs).map_err(OpenError::io(&jobs))?;
    let noted = folders.into_iter().filter_map(|(name, path)| {
        let (key, folder) = (Key::from_name(&name)?, Folder(path));
        let job = folder.job();
        Some(Noted { key, folder, job })
    });
    let noted: Vec<_> = noted.collect();
    let mut versions = noted.iter().filter_map(|noted| match noted.job {
        Err(NoteError::Version { found }) => Some(found),
        _ => None,
    });
    if let Some(found) = versions.next() {
        return Err(OpenError::Version {
            path: storage.to_owned(),
            found,
            expected: VERSION,
        });
    }
    let key = storage.join("key");
    if !key.exists() && noted.iter().any(|noted| noted.folder.has_note()) {
        return Err(OpenError::NoKey { path: key });
    }
    Ok(noted)
}

impl Queue {
    /// Looks whether a queue can be opened in the storage folder of these settings, and changes nothing there; gives
    /// the number of its jobs. A folder that is not there has none.
    ///
    /// **Errors**: [`OpenError`], as [`Queue::open`] would give it.
    pub fn look(config: &Config) -> Result<usize, OpenError> {
        let storage = &config.storage;
        // Where it is not there, it is made in the nearest folder that is.
        let there = storage.ancestors().find(|folder| folder.exists());
        let there = match there {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        // A file without a name, which is gone at once.
        tempfile::tempfile_in(there).map_err(OpenError::io(there))?;
        if there != storage {
            return Ok(0);
        }
        is_free(storage)?;
        let key = storage.join("key");
        Secret::read(&key).map_err(OpenError::io(&key))?;
        Ok(notes(storage)?.len())
    }
}

/// A folder in a form that can be locked; `None` where the system has none.
pub fn lockable(folder: &Path) -> Option<File> {
    if cfg!(unix) {
        File::open(folder).ok()
    } else {
        None
    }
}

fn is_free(storage: &Path) -> Result<(), OpenError> {
    let in_use = || OpenError::InUse {
        path: storage.to_owned(),
    };
    if let Some(folder) = lockable(storage)
        && matches!(folder.try_lock_shared(), Err(TryLockError::WouldBlock))
    {
        return Err(in_use());
    }
    let path = storage.join("lock");
    let file = match File::options().write(true).open(&path) {
        Err(reason) if reason.kind() == io::ErrorKind::NotFound => return Ok(()),
        file => file.map_err(OpenError::io(&path))?,
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(in_use()),
        Err(TryLockError::Error(reason)) => Err(OpenError::io(&path)(reason)),
    }
}
