//! Removes files and entries past their retention.

use std::io;

use crate::clock::Time;
use crate::config::Keep;
use crate::log;
use crate::queue::digest::JobKey;
use crate::queue::job::JobState;
use crate::queue::job_entry::{AGAIN, JobEntry};
use crate::queue::job_queue::JobQueue;
use crate::reason::Reason;

/// Most finished jobs that are remembered; those that finished first are forgotten.
const ENDED_MAX: usize = 200_000;

impl JobQueue {
    /// Removes files and entries past their retention. To be called periodically.
    pub fn tidy(&self) {
        let now = Time::now();
        let keys = self.lock_jobs().untidy(now);
        for key in keys {
            self.tidy_one(&key, |entry| self.tidy_entry(entry, now));
        }
        let surplus = self.lock_jobs().surplus(ENDED_MAX);
        for key in surplus {
            self.tidy_one(&key, |entry| self.forget(entry));
        }
    }

    /// Removes files of a job, and the job itself where `tidy` returns that nothing is left.
    fn tidy_one(&self, key: &JobKey, tidy: impl FnOnce(&mut JobEntry) -> io::Result<bool>) {
        let mut jobs = self.lock_jobs();
        let tidied = jobs.update(key, |entry| {
            if entry.busy {
                return Ok(false);
            }
            let tidied = tidy(entry);
            entry.tidied(key, &tidied);
            if matches!(tidied, Ok(false)) {
                entry.tidy_again = Some(Time::now().after(AGAIN));
            }
            tidied
        });
        if matches!(tidied, Some(Ok(true))) {
            jobs.remove(key);
        }
    }

    /// Removes the files of a job that are past their retention; returns whether nothing is left.
    pub(super) fn tidy_entry(&self, entry: &mut JobEntry, now: Time) -> io::Result<bool> {
        if entry.unnoted {
            entry.turn_into(&self.files, entry.job.clone())?;
        }
        let (age, retention) = (now.since(entry.job.changed), &self.retention);
        if !entry.arrived.is_empty() {
            // Its files are about to be needed.
            return Ok(false);
        }
        let (input, results) = match entry.job.state {
            JobState::Done => match retention.keep {
                Keep::None => (true, true),
                Keep::Results => (true, age >= retention.kept),
                Keep::All => (age >= retention.kept, age >= retention.kept),
            },
            JobState::Failed => (age >= retention.failed, age >= retention.failed),
            JobState::Undelivered if age >= retention.undelivered => {
                let mut job = entry.job.failed(Reason::NotDelivered, now);
                job.undelivered = entry.job.undelivered.clone();
                entry.turn_into(&self.files, job)?;
                (true, true)
            }
            _ => (false, false),
        };
        if entry.has_files {
            if input {
                entry.input = None;
                self.files.remove_folder(&entry.folder.input())?;
            }
            if results {
                entry.folder.remove_runs(&self.files, None)?;
            }
            entry.has_files = !(input && results);
        }
        if age >= retention.ledger {
            return self.forget(entry);
        }
        Ok(false)
    }

    /// Removes a job that has ended; whether nothing is left.
    fn forget(&self, entry: &JobEntry) -> io::Result<bool> {
        if !entry.job.state.is_final() || entry.open > 0 || !entry.arrived.is_empty() {
            return Ok(false);
        }
        // The record is removed last: images without one count as a job whose record was lost.
        self.files.remove_folder(&entry.folder.arrived())?;
        self.files.remove_folder(&entry.folder.input())?;
        entry.folder.remove_runs(&self.files, None)?;
        self.files.remove_folder(&entry.folder.0)?;
        Ok(true)
    }
}

impl JobEntry {
    /// Logs what could not be removed, which is tried again later.
    pub(super) fn tidied<T>(&mut self, key: &JobKey, tidied: &io::Result<T>) {
        if let Err(reason) = tidied {
            log::error(format_args!(
                "job {key}: files that it no longer needs cannot be removed: {reason}"
            ));
            self.tidy_again = Some(Time::now().after(AGAIN));
        }
    }
}
