//! The queue: folders and small files, so that a node that dies at any moment goes on where it was.
//!
//! A job's state is what its `job.json` says; everything else in its folder is either named there, or can be made
//! again, or is waiting to be taken in. Every change is one rename of a file that is on the disk already, and comes
//! after what it relies on.

mod admit;
mod count;
mod deliver;
mod files;
mod folder;
mod job;
mod look;
mod open;
mod predict;
mod secret;
mod settle;
mod tidy;
mod unit;
mod units;
mod view;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

pub use admit::{Admitted, NotAdmitted};
pub use count::{Counted, Held, Unsettled};
pub use deliver::{SendEnd, SendTicket, Sent};
use folder::Folder;
pub(crate) use job::is_digest;
pub use job::{Arrival, Job, Key, State, Undone, digest, hexadecimal};
pub use open::OpenError;
pub use predict::{RunEnd, RunTicket};
pub use view::JobView;

use crate::config::{Retention, Retry, Service};
use crate::queue::files::Files;
use crate::queue::secret::Secret;
use crate::queue::units::Units;

/// The queue of a storage folder.
#[derive(Debug)]
pub struct Queue {
    storage: PathBuf,
    services: Vec<Service>,
    /// Of each service: digest of what its results depend on besides the images.
    settings: Vec<String>,
    /// Of each service: digest of its bundle's manifest when the node began.
    bundles: Vec<Option<String>>,
    retry: Retry,
    retention: Retention,
    /// Jobs on their way at most.
    jobs_max: usize,
    secret: Secret,
    files: Files,
    /// Jobs that could not be taken over from the last node and stay where they are.
    blocked: Vec<Key>,
    /// Jobs that were set aside because they cannot be read.
    damaged: Vec<Key>,
    units: Mutex<Units>,
    /// Held for as long as the queue is open.
    _locks: Vec<File>,
}

impl Queue {
    fn units(&self) -> MutexGuard<'_, Units> {
        // A panic leaves at worst a unit whose file says less than has happened, which is what a crash leaves.
        self.units.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The services.
    pub fn services(&self) -> &[Service] {
        &self.services
    }

    /// The storage folder.
    pub fn storage(&self) -> &Path {
        &self.storage
    }

    /// File of the node's own key.
    pub fn key_file(&self) -> PathBuf {
        self.storage.join("key")
    }

    /// Folder for instances that are being received; what is in it when the node begins is removed.
    pub fn incoming(&self) -> PathBuf {
        self.storage.join("incoming")
    }

    /// Whether the bundle of a service is no longer the one that was there when the node began.
    pub fn bundle_has_changed(&self, service: usize) -> bool {
        self.bundles[service].is_some()
            && open::manifest(&self.services[service]) != self.bundles[service]
    }
}

#[cfg(test)]
mod tests;
