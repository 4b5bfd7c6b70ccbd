//! Reads a storage folder without changing it.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

use crate::config::Config;
use crate::queue::digest::JobKey;
use crate::queue::digest_key::DigestKey;
use crate::queue::job::{JobRecord, VERSION};
use crate::queue::job_folder::{JobFolder, NoteError, names};
use crate::queue::job_queue::JobQueue;
use crate::queue::open_error::OpenError;

/// The folder of a job, and its record.
#[derive(Debug)]
pub struct NotedJob {
    pub key: JobKey,
    pub folder: JobFolder,
    pub job: Result<JobRecord, NoteError>,
}

/// Reads the records of the jobs of a storage folder.
///
/// **Errors**: the folder of jobs cannot be listed; a record has another version; there are records but no key.
pub fn notes(storage: &Path) -> Result<Vec<NotedJob>, OpenError> {
    let jobs = storage.join("jobs");
    let folders = names(&jobs).map_err(OpenError::io(&jobs))?;
    let noted = folders.into_iter().filter_map(|(name, path)| {
        let (key, folder) = (JobKey::from_name(&name)?, JobFolder(path));
        let job = folder.job();
        Some(NotedJob { key, folder, job })
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

impl JobQueue {
    /// Checks whether a queue can be opened in the storage folder of these settings, without changing it; returns
    /// the number of its jobs. An absent folder has none.
    ///
    /// **Errors**: [`OpenError`], as [`JobQueue::open`] would give it.
    pub fn look(config: &Config) -> Result<usize, OpenError> {
        let storage = &config.storage;
        // An absent folder would be created in its nearest existing ancestor.
        let there = storage.ancestors().find(|folder| folder.exists());
        let there = match there {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        // An unnamed file, which is removed at once.
        tempfile::tempfile_in(there).map_err(OpenError::io(there))?;
        if there != storage {
            return Ok(0);
        }
        is_free(storage)?;
        let key = storage.join("key");
        DigestKey::read(&key).map_err(OpenError::io(&key))?;
        Ok(notes(storage)?.len())
    }
}

/// Opens a folder for locking; `None` where the system cannot lock folders.
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
