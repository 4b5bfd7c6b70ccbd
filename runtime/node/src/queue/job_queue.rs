//! The queue as a whole.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::config::{Retention, Retry, Service};
use crate::queue::digest::JobKey;
use crate::queue::digest_key::DigestKey;
use crate::queue::durable_files::DurableFiles;
use crate::queue::job_index::JobIndex;
use crate::queue::service_digest::manifest_digest;

/// The queue of a storage folder.
#[derive(Debug)]
pub struct JobQueue {
    pub(super) storage: PathBuf,
    pub(super) services: Vec<Service>,
    /// For each service: digest of what its results depend on beside the images.
    pub(super) settings: Vec<String>,
    /// For each service: digest of its bundle's manifest when the node started.
    pub(super) bundles: Vec<Option<String>>,
    pub(super) retry: Retry,
    pub(super) retention: Retention,
    pub(super) jobs_max: usize,
    pub(super) secret: DigestKey,
    pub(super) files: DurableFiles,
    /// Jobs of the last node that could neither be recovered nor moved.
    pub(super) blocked: Vec<JobKey>,
    /// Jobs that were moved to `damaged` because they cannot be read.
    pub(super) damaged: Vec<JobKey>,
    pub(super) jobs: Mutex<JobIndex>,
    /// Locks of the storage folder, held while the queue is open.
    pub(super) _locks: Vec<File>,
}

impl JobQueue {
    pub(super) fn lock_jobs(&self) -> MutexGuard<'_, JobIndex> {
        // A panic leaves at worst an entry that is newer than its file, as a crash does.
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn services(&self) -> &[Service] {
        &self.services
    }

    pub fn storage(&self) -> &Path {
        &self.storage
    }

    /// File of the key of digests.
    pub fn key_file(&self) -> PathBuf {
        self.storage.join("key")
    }

    /// Folder for instances that are being received; emptied when the node starts.
    pub fn incoming(&self) -> PathBuf {
        self.storage.join("incoming")
    }

    /// Whether the bundle of a service has changed since the node started.
    pub fn bundle_has_changed(&self, service: usize) -> bool {
        self.bundles[service].is_some()
            && manifest_digest(&self.services[service]) != self.bundles[service]
    }
}
