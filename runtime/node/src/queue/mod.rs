//! The queue: folders and small files, so that a node that dies at any moment goes on where it was.
//!
//! A job's state is what its `job.json` says; everything else in its folder is either named there, or can be made
//! again, or is waiting to be taken in. Every change is one rename of a file that is on the disk already, and comes
//! after what it relies on.

mod count;
mod files;
mod folder;
mod job;
mod open;
mod progress;
mod settle;
mod tidy;
mod view;

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

pub use count::{Counted, Held, Unsettled};
use folder::Folder;
pub use job::{Job, Key, Name, State, digest, hexadecimal};
pub use open::OpenError;
pub use progress::{RunEnd, RunTicket, SendEnd, SendTicket};
pub use view::JobView;

use crate::clock::Time;
use crate::config::{Retention, Retry, Service};
use crate::log;
use crate::queue::files::Files;
use crate::queue::folder::Instances;

/// The queue of a storage folder.
#[derive(Debug)]
pub struct Queue {
    storage: PathBuf,
    services: Vec<Service>,
    /// Of each service: digest of what its results depend on besides the images.
    settings: Vec<String>,
    retry: Retry,
    retention: Retention,
    files: Files,
    units: Mutex<HashMap<Key, Unit>>,
    /// Held for as long as the queue is open.
    _lock: File,
}

/// A job in memory.
#[derive(Debug)]
struct Unit {
    folder: Folder,
    job: Job,
    /// Which of the services; `None` where the settings no longer name it.
    service: Option<usize>,
    arrived: Instances,
    /// Open associations that have sent into it.
    open: usize,
    /// When its last instance came, or the node began.
    last: Instant,
    /// Whose association into it broke off or had instances refused, and has not been made good; empty where the node
    /// itself was down.
    cut: Option<String>,
    /// What a source said of it.
    counted: Option<Counted>,
    /// Whether it is being predicted or sent.
    busy: bool,
    /// Whether files besides what is noted may be there.
    has_files: bool,
}

/// What became of an instance that was put into the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admitted {
    /// It waits for its job.
    New,
    /// It is there already.
    Known,
}

impl Queue {
    fn units(&self) -> MutexGuard<'_, HashMap<Key, Unit>> {
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

    /// Folder for instances that are being received; what is in it when the node begins is removed.
    pub fn incoming(&self) -> PathBuf {
        self.storage.join("incoming")
    }

    /// Puts an instance into its job. When this returns, it stays whatever happens.
    ///
    /// `touched` are the jobs that the association has sent into; they are held back until [`Queue::leave`].
    ///
    /// **Errors**: the system cannot move the file or write; it is then still where it was.
    pub fn admit(
        &self,
        service: usize,
        key: &Key,
        name: &Name,
        file: &Path,
        touched: &mut HashSet<Key>,
    ) -> io::Result<Admitted> {
        let folder = {
            let mut units = self.units();
            if !units.contains_key(key) {
                let unit = self.begin(service, key)?;
                units.insert(key.clone(), unit);
            }
            let Some(unit) = units.get_mut(key) else {
                return Err(io::Error::other("a job is gone"));
            };
            unit.last = Instant::now();
            if touched.insert(key.clone()) {
                unit.open += 1;
            }
            let files = &self.files;
            let is_here = unit.arrived.get(&name.uid) == Some(&name.content)
                || unit.job.state != State::Failed
                    && !unit.arrived.contains_key(&name.uid)
                    && unit.folder.input().join(name.file()).exists();
            if is_here {
                return Ok(Admitted::Known);
            }
            files.create_folder(&unit.folder.arrived())?;
            files.rename(file, &unit.folder.arrived().join(name.file()))?;
            unit.has_files = true;
            let replaced = unit
                .arrived
                .insert(name.uid.clone(), name.content.clone())
                .map(|content| Name {
                    uid: name.uid.clone(),
                    content,
                });
            if let Some(replaced) = replaced {
                files.remove_file(&unit.folder.arrived().join(replaced.file()))?;
            }
            unit.folder.arrived()
        };
        // Without the lock: others need not wait for the disk. The folder may have been merged meanwhile, which syncs.
        match self.files.sync_folder(&folder) {
            Err(reason) if reason.kind() == io::ErrorKind::NotFound => Ok(Admitted::New),
            synced => synced.map(|()| Admitted::New),
        }
    }

    fn begin(&self, service: usize, key: &Key) -> io::Result<Unit> {
        let folder = Folder(self.storage.join("jobs").join(&key.0));
        let job = Job::new(&self.services[service].ae_title, Time::now());
        self.files.create_folder(&folder.0)?;
        folder.note(&self.files, &job)?;
        log::info(format_args!("job {key}: begins for {}", job.service));
        Ok(Unit::new(folder, job, Some(service)))
    }

    /// Ends the hold of an association over the jobs that it has sent into; `whole` says whether it ended as agreed, and
    /// everything was taken. What one caller left undone, another does not make good.
    pub fn leave(&self, touched: &HashSet<Key>, caller: &str, whole: bool) {
        let mut units = self.units();
        for key in touched {
            if let Some(unit) = units.get_mut(key) {
                unit.open = unit.open.saturating_sub(1);
                match &unit.cut {
                    _ if !whole => unit.cut = Some(caller.to_owned()),
                    Some(by) if by.is_empty() || by == caller => unit.cut = None,
                    _ => {}
                }
            }
        }
    }
}

impl Unit {
    fn new(folder: Folder, job: Job, service: Option<usize>) -> Self {
        Self {
            folder,
            job,
            service,
            arrived: Instances::new(),
            open: 0,
            last: Instant::now(),
            cut: None,
            counted: None,
            busy: false,
            has_files: true,
        }
    }

    /// Notes a new state: first on disk, then here.
    fn turn_into(&mut self, files: &Files, job: Job) -> io::Result<()> {
        self.folder.note(files, &job)?;
        self.job = job;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
