//! The number of instances that a job should have, as its source states it.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::Grouping;
use crate::queue::digest::JobKey;
use crate::queue::job_queue::JobQueue;
use crate::queue::source_count::SourceCount;

/// A job that is collecting instances.
#[derive(Debug, Clone)]
pub struct UnsettledJob {
    pub key: JobKey,
    /// Unit of the job.
    pub unit: Grouping,
    /// Number of instances in `arrived`.
    pub arrived: usize,
    /// Time since the last instance.
    pub rest: Duration,
}

/// The received instances of a job.
#[derive(Debug, Clone)]
pub struct HeldInstances {
    /// Number of instances, including those of its last prediction; once some of them are being replaced, only those
    /// that came since.
    pub instances: usize,
    /// Number of the next instance.
    pub next: u64,
    /// File of an instance in `arrived`.
    pub sample: PathBuf,
}

impl JobQueue {
    /// The jobs that are collecting instances and are not being predicted or sent. A copy, because a query takes
    /// seconds.
    pub fn unsettled(&self) -> Vec<UnsettledJob> {
        let jobs = self.lock_jobs();
        let unsettled = jobs.arriving().filter_map(|(key, entry)| {
            let service = &self.services[entry.service?];
            (!entry.busy).then(|| UnsettledJob {
                key: key.clone(),
                unit: service.unit,
                arrived: entry.arrived.len(),
                rest: entry.last.elapsed(),
            })
        });
        unsettled.collect()
    }

    /// The received instances of a job; `None` where there are none in `arrived`.
    ///
    /// **Errors**: the system cannot read its folder.
    pub fn held(&self, key: &JobKey) -> io::Result<Option<HeldInstances>> {
        let (folder, arrived, next, replaced) = match self.lock_jobs().get(key) {
            Some(entry) => (
                entry.folder.clone(),
                entry.arrived.clone(),
                entry.number,
                entry.replaced,
            ),
            None => return Ok(None),
        };
        let Some((uid, copy)) = arrived.first_key_value() else {
            return Ok(None);
        };
        let sample = folder.arrived().join(copy.file(uid));
        // Without the lock, so that nothing else waits for the disk.
        let before = folder.instances(&folder.input())?;
        let is_again = before.keys().any(|uid| arrived.contains_key(uid));
        // The others may be about to be replaced as well, and do not count.
        let instances = if is_again || replaced.is_some() {
            let since = replaced.unwrap_or_default();
            arrived.values().filter(|copy| copy.number >= since).count()
        } else {
            arrived.len() + before.len()
        };
        Ok(Some(HeldInstances {
            instances,
            next,
            sample,
        }))
    }

    /// Records the number of instances that a source states. If it equals the number received, the job is complete
    /// unless more come. A statement about a job that has changed since is ignored.
    pub fn note_count(&self, key: &JobKey, counted: SourceCount) {
        self.lock_jobs().update(key, |entry| {
            entry.counted = Some(counted).filter(|counted| entry.is_current(counted));
        });
    }
}
