//! Adds instances to jobs.

use std::collections::HashSet;
use std::io;
use std::path::Path;
use std::time::Instant;

use crate::clock::Time;
use crate::log;
use crate::queue::digest::JobKey;
use crate::queue::instance::{ReceivedInstance, StoredInstance};
use crate::queue::job::{IncompleteReason, JobRecord, JobState};
use crate::queue::job_entry::JobEntry;
use crate::queue::job_folder::JobFolder;
use crate::queue::job_queue::JobQueue;

/// Whether an admitted instance is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    New,
    /// The job has it already.
    Known,
}

/// Why an instance is not admitted.
#[derive(Debug, thiserror::Error)]
pub enum AdmissionError {
    /// The system cannot move the file or write; it is then still where it was.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The number of unfinished jobs has reached its limit.
    #[error("the limit of {limit} unfinished jobs is reached")]
    Jobs { limit: usize },
    /// Another caller has sent the instance with other content.
    #[error("another caller has sent an instance with its UID and other content")]
    Conflict,
}

impl JobQueue {
    /// The key of the job of a service that an instance with these UIDs belongs to.
    pub fn key(&self, service: usize, study: &str, series: &str) -> JobKey {
        self.secret.key(&self.services[service], study, series)
    }

    /// The keyed digests of an instance with this UID and this digest of its data set, from `caller`.
    pub fn arrival(&self, uid: &str, content: &[u8], caller: &str) -> ReceivedInstance {
        let digest = |bytes: &[u8]| self.secret.digest([bytes]);
        ReceivedInstance::new(
            digest(uid.as_bytes()),
            digest(content),
            &digest(caller.as_bytes()),
        )
    }

    /// Adds an instance to its job. After this returns, the instance survives a loss of power.
    ///
    /// `touched` are the jobs that the association has sent instances of; they are held back until [`JobQueue::leave`].
    /// While a job is unfinished, only the caller that sent an instance may replace it.
    ///
    /// **Errors**: [`AdmissionError`].
    pub fn admit(
        &self,
        service: usize,
        key: &JobKey,
        arrival: &ReceivedInstance,
        file: &Path,
        caller: &str,
        touched: &mut HashSet<JobKey>,
    ) -> Result<Admission, AdmissionError> {
        let (folder, admitted) = {
            let mut jobs = self.lock_jobs();
            let waits = |entry: &JobEntry| !entry.job.state.is_final() || !entry.arrived.is_empty();
            let full = (jobs.unfinished() >= self.jobs_max).then_some(self.jobs_max);
            if jobs.get(key).is_none() {
                if let Some(limit) = full {
                    return Err(AdmissionError::Jobs { limit });
                }
                if self.blocked.contains(key) {
                    let reason = "its job could not be taken over from the last node";
                    return Err(io::Error::other(reason).into());
                }
                jobs.insert(key.clone(), self.begin(service, key, caller)?);
            }
            let taken = jobs.update(key, |entry| {
                let full = full.filter(|_| !waits(entry));
                let taken = self.take(entry, arrival, file, caller, touched.contains(key), full);
                if entry.open == 0 {
                    entry.input = None;
                }
                taken
            });
            let (folder, admitted, touches) =
                taken.unwrap_or_else(|| Err(io::Error::other("a job is gone").into()))?;
            if touches {
                touched.insert(key.clone());
            }
            (folder, admitted)
        };
        // Without the lock, so that nothing else waits for the disk. For known instances as well: they may have come a
        // moment ago, and not be synced. The folder may have been merged meanwhile, which syncs.
        match self.files.sync_folder(&folder) {
            Err(reason) if reason.kind() == io::ErrorKind::NotFound => Ok(admitted),
            synced => Ok(synced.map(|()| admitted)?),
        }
    }

    /// Moves an instance to its job; returns the folder to be synced, and whether the association holds
    /// the job back from now on. With `full`, a finished job is not restarted.
    fn take(
        &self,
        entry: &mut JobEntry,
        arrival: &ReceivedInstance,
        file: &Path,
        caller: &str,
        is_touched: bool,
        full: Option<usize>,
    ) -> Result<(std::path::PathBuf, Admission, bool), AdmissionError> {
        let (arrived, input) = (entry.folder.arrived(), entry.folder.input());
        // After a failure or a doubtful prediction, all instances are accepted again.
        let again = entry.job.state == JobState::Failed || entry.job.doubt;
        let is_final = entry.job.state.is_final();
        let in_input = entry.input()?.get(&arrival.uid).cloned();
        let here = match entry.arrived.get(&arrival.uid) {
            Some(copy) => Some((copy.clone(), &arrived)),
            None => in_input.map(|copy| (copy, &input)),
        };
        let is_own = |copy: &StoredInstance| copy.owner == arrival.owner;
        if let Some((copy, at)) = &here {
            let waits = *at == &arrived;
            if copy.content == arrival.content && (waits || !again) {
                let own = is_own(copy);
                if own && entry.first.as_deref().is_none_or(|first| first == caller) {
                    entry.last = Instant::now();
                }
                let touches = own && !is_touched;
                entry.open += usize::from(touches);
                return Ok(((*at).clone(), Admission::Known, own));
            }
            if copy.content != arrival.content && !is_own(copy) && (waits || !is_final) {
                return Err(AdmissionError::Conflict);
            }
        }
        if let Some(limit) = full {
            return Err(AdmissionError::Jobs { limit });
        }
        self.files.create_folder(&arrived)?;
        let copy = StoredInstance {
            content: arrival.content.clone(),
            owner: arrival.owner.clone(),
            number: entry.number,
        };
        self.files
            .rename(file, &arrived.join(copy.file(&arrival.uid)))?;
        entry.number += 1;
        entry.has_files = true;
        let before = Some(&entry.job.caller).filter(|before| !is_final && !before.is_empty());
        let first = || before.map_or_else(|| caller.to_owned(), String::clone);
        let now = Instant::now();
        if entry.first.get_or_insert_with(first) == caller {
            entry.last = now;
            entry.others = None;
        } else {
            let since = entry.others.map_or(now, |(since, _)| since);
            entry.others = Some((since, now));
        }
        entry.open += usize::from(!is_touched);
        if let Some(replaced) = entry.arrived.insert(arrival.uid.clone(), copy) {
            entry.replaced.get_or_insert(entry.number - 1);
            // The copy with the larger number counts; the other is removed when the job is completed.
            let replaced = arrived.join(replaced.file(&arrival.uid));
            if let Err(reason) = self.files.remove_file(&replaced) {
                log::warning(format_args!(
                    "an instance that was replaced cannot be removed: {reason}"
                ));
            }
        }
        Ok((arrived, Admission::New, true))
    }

    fn begin(&self, service: usize, key: &JobKey, caller: &str) -> io::Result<JobEntry> {
        let folder = JobFolder(self.storage.join("jobs").join(&key.0));
        let is_damaged = self.damaged.contains(key);
        let job = JobRecord {
            caller: caller.to_owned(),
            undone: is_damaged
                .then_some(IncompleteReason::Damage)
                .into_iter()
                .collect(),
            ..JobRecord::new(&self.services[service].ae_title, Time::now())
        };
        self.files.create_folder(&folder.0)?;
        folder.note(&self.files, &job)?;
        log::info(format_args!("job {key}: begins for {}", job.service));
        let mut entry = JobEntry::new(folder, job, Some(service));
        entry.undone.clone_from(&entry.job.undone);
        Ok(entry)
    }

    /// Ends the hold of an association over the jobs that it has sent instances of; `whole` tells whether it ended
    /// as agreed with everything accepted. What one caller left incomplete, another does not complete.
    ///
    /// The job of an instance that never came or was refused is unknown: an association that is not whole
    /// marks every job of the service that still collects instances and has some of its caller, until an association of
    /// that caller with the service is whole.
    pub fn leave(&self, service: usize, touched: &HashSet<JobKey>, caller: &str, whole: bool) {
        let mut jobs = self.lock_jobs();
        for key in touched {
            jobs.update(key, |entry| {
                entry.open = entry.open.saturating_sub(1);
                if entry.open == 0 {
                    entry.input = None;
                }
                self.mark(key, entry, caller, whole);
            });
        }
        let elsewhere = IncompleteReason::Elsewhere(caller.to_owned());
        let owner = self.arrival("", &[], caller).owner;
        let changes = |entry: &JobEntry| {
            let is_marked = entry.undone.contains(&elsewhere);
            let mut copies = entry.arrived.values();
            entry.service == Some(service)
                && is_marked == whole
                && (whole || copies.any(|copy| copy.owner == owner))
        };
        let further = jobs.arriving().filter(|(_, entry)| changes(entry));
        let further: Vec<JobKey> = further.map(|(key, _)| key.clone()).collect();
        // Not recorded: the next node treats every collecting job as incomplete.
        for key in further {
            jobs.update(&key, |entry| {
                if whole {
                    entry.undone.remove(&elsewhere);
                } else {
                    entry.undone.insert(elsewhere.clone());
                }
            });
        }
    }

    /// Records whether a caller's part of a job may be incomplete.
    fn mark(&self, key: &JobKey, entry: &mut JobEntry, caller: &str, whole: bool) {
        let before = entry.undone.clone();
        if whole {
            entry.undone.retain(|undone| match undone {
                IncompleteReason::Restart => false,
                IncompleteReason::Damage => true,
                IncompleteReason::Caller(of) | IncompleteReason::Elsewhere(of) => of != caller,
            });
        } else {
            entry
                .undone
                .insert(IncompleteReason::Caller(caller.to_owned()));
        }
        // The next node needs this record.
        if entry.undone != before && entry.undone != entry.job.undone {
            let mut job = entry.job.clone();
            job.undone.clone_from(&entry.undone);
            if let Err(reason) = entry.turn_into(&self.files, job) {
                log::error(format_args!("job {key}: cannot be noted: {reason}"));
            }
        }
    }
}
