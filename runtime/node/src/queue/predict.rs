//! Jobs that are being predicted.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::clock::Time;
use crate::config::Doubtful;
use crate::log;
use crate::queue::digest::JobKey;
use crate::queue::job::{JobRecord, JobState};
use crate::queue::job_entry::{AGAIN, JobEntry};
use crate::queue::job_folder::{Instances, KnownInstances};
use crate::queue::job_queue::JobQueue;
use crate::queue::pause::pause;
use crate::reason::Reason;

/// A job to be predicted.
#[derive(Debug)]
pub struct RunTicket {
    pub key: JobKey,
    pub service: usize,
    /// Folder with its images.
    pub input: PathBuf,
    /// Empty folder for its results.
    pub output: PathBuf,
    /// Whether results state that instances may be missing.
    pub mark_incomplete: bool,
}

/// The outcome of a prediction.
#[derive(Debug, Clone, PartialEq)]
pub enum RunOutcome {
    Done,
    /// It cannot be predicted, at least not by this node.
    Failed(Reason),
    /// It may succeed another time.
    Retry(Reason),
    Interrupted,
}

impl JobQueue {
    /// Takes the next job to be predicted, and creates a folder for its results.
    ///
    /// Callers take turns; of the jobs of one, the one that has waited longest is taken.
    ///
    /// **Errors**: the system cannot create or record the folder. The job is then paused for a while.
    pub fn take_run(&self) -> io::Result<Option<RunTicket>> {
        let now = Time::now();
        let mut jobs = self.lock_jobs();
        let Some(key) = jobs.next_run(now) else {
            return Ok(None);
        };
        jobs.begin(&key, |entry| {
            let Some(service) = entry.service else {
                return Ok(None);
            };
            let input = entry.folder.instances(&entry.folder.input())?;
            if let Some(reason) = gone(&entry.job, &input) {
                log::error(format_args!("job {key}: failed: {reason}"));
                let job = entry.job.failed(reason, now);
                entry.turn_into(&self.files, job)?;
                return Ok(None);
            }
            let output = tempfile::Builder::new()
                .prefix("run-")
                .tempdir_in(&entry.folder.0)?;
            let mut job = entry.job.clone();
            job.state = JobState::Running;
            job.changed = now;
            job.settings.clone_from(&self.settings[service]);
            let doubtful = self.services[service].doubtful;
            let ticket = RunTicket {
                key: key.clone(),
                service,
                input: entry.folder.input(),
                mark_incomplete: job.doubt && doubtful == Doubtful::Mark,
                output: output.path().to_owned(),
            };
            entry.turn_into(&self.files, job)?;
            entry.busy = true;
            entry.others = None;
            let _ = output.keep();
            Ok(Some(ticket))
        })
    }

    /// Records the outcome of a prediction, unless the job is not running.
    ///
    /// **Errors**: the system cannot read or write; the job is then still recorded as running, and the call is to be
    /// repeated.
    pub fn ran(&self, ticket: &RunTicket, end: &RunOutcome) -> io::Result<JobState> {
        self.with(&ticket.key, |entry| {
            if !entry.busy || entry.job.state != JobState::Running {
                return Ok(entry.job.state);
            }
            let now = Time::now();
            let job = match end {
                RunOutcome::Done if !entry.arrived.is_empty() => entry
                    .job
                    .into_state(JobState::Collecting, now)
                    .without_results(),
                RunOutcome::Done => self.with_results(entry, ticket, now)?,
                RunOutcome::Interrupted => entry.job.into_state(JobState::Queued, now),
                RunOutcome::Retry(reason) if entry.job.attempts + 1 < self.retry.run_attempts => {
                    let pause = pause(self.retry.run_pause, entry.job.attempts, Duration::MAX);
                    JobRecord {
                        state: JobState::Queued,
                        reason: Some(reason.clone()),
                        ..entry.job.again(now.after(pause))
                    }
                }
                RunOutcome::Failed(reason) | RunOutcome::Retry(reason) => JobRecord {
                    again_at_start: reason.passes_with_a_start(),
                    ..entry.job.failed(reason.clone(), now)
                },
            };
            entry.turn_into(&self.files, job)?;
            entry.busy = false;
            // The outcome is recorded, and must not be recorded again.
            let output = entry.job.output.as_deref();
            let cleared = entry.folder.remove_runs(&self.files, output);
            let cleared = cleared.and_then(|()| self.tidy_entry(entry, now));
            entry.tidied(&ticket.key, &cleared);
            Ok(entry.job.state)
        })
    }

    /// The record of a job after a prediction: with results, or failed where results or images are missing.
    fn with_results(
        &self,
        entry: &JobEntry,
        ticket: &RunTicket,
        now: Time,
    ) -> io::Result<JobRecord> {
        let destinations = &self.services[ticket.service].destinations;
        let results = entry.folder.results(&ticket.folder())?;
        if results.is_empty() && !destinations.is_empty() {
            return Ok(entry.job.failed(Reason::NoResults, now));
        }
        for result in &results {
            // The program has flushed its files; their names may not be on the disk yet.
            fs::File::open(result)?.sync_all()?;
        }
        self.files.sync_folder(&ticket.output)?;
        let instances = entry.folder.instances(&entry.folder.input())?;
        if let Some(reason) = gone(&entry.job, &instances) {
            return Ok(entry.job.failed(reason, now));
        }
        let contents = instances.into_iter();
        let known: KnownInstances = contents.map(|(uid, copy)| (uid, copy.content)).collect();
        entry.folder.remember(&self.files, &known)?;
        let state = if destinations.is_empty() {
            JobState::Done
        } else {
            JobState::Sending
        };
        let mut job = entry.job.into_state(state, now).without_results();
        job.output = Some(ticket.folder());
        job.results = results.len();
        job.sent.retain(|name, _| destinations.contains(name));
        job.made_of = self.made_of(&known, &job.settings, ticket.mark_incomplete);
        Ok(job)
    }

    /// Digest of the input of results: results with the same digest differ in times only.
    fn made_of(&self, known: &KnownInstances, settings: &str, mark_incomplete: bool) -> String {
        let instances = known.iter().flat_map(|(uid, content)| [uid, content]);
        let mark: &[u8] = if mark_incomplete { b"incomplete" } else { b"" };
        let parts = instances.map(|text| text.as_bytes());
        self.secret.digest(parts.chain([settings.as_bytes(), mark]))
    }

    /// Releases a job whose outcome was not recorded: it is predicted again.
    pub fn run_lost(&self, ticket: &RunTicket) {
        self.lock_jobs().update(&ticket.key, |entry| {
            if entry.busy && entry.job.state == JobState::Running {
                let job = entry.job.into_state(JobState::Queued, Time::now());
                entry.turn_into_at_once(&ticket.key, &self.files, job);
                entry.busy = false;
                entry.pause = Time::now().after(AGAIN);
            }
        });
    }

    pub(super) fn with<T>(
        &self,
        key: &JobKey,
        act: impl FnOnce(&mut JobEntry) -> io::Result<T>,
    ) -> io::Result<T> {
        let acted = self.lock_jobs().update(key, act);
        acted.unwrap_or_else(|| Err(io::Error::other(format!("job {key} is gone"))))
    }
}

/// The failure of a job some of whose images are gone.
fn gone(job: &JobRecord, input: &Instances) -> Option<Reason> {
    let images = job
        .instances
        .checked_sub(input.len())
        .filter(|gone| *gone > 0)?;
    Some(Reason::ImagesGone { images })
}

impl RunTicket {
    /// Name of the folder of results within the job's.
    fn folder(&self) -> String {
        let name = self.output.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }
}
