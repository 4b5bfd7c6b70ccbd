//! The public view of the queue.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::clock::Time;
use crate::queue::job::JobState;
use crate::queue::job_queue::JobQueue;

/// Consecutive failed jobs from which a service counts as failing.
const FAILED_JOBS: usize = 3;

/// A job as status pages show it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct JobView {
    /// Key of the job, a digest.
    pub id: String,
    pub service: String,
    pub state: JobState,
    /// Number of instances that are or were predicted.
    pub instances: usize,
    /// Number of instances in `arrived`.
    pub arrived: usize,
    /// When its first instance came.
    pub created: String,
    /// Time of its last change of state.
    pub changed: String,
    /// Whether instances may be missing.
    pub doubt: bool,
    /// Number of instances that its source states.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<usize>,
    /// Failed attempts in its state.
    pub attempts: u32,
    /// When the next attempt is due.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_before: Option<String>,
    /// Why the last attempt failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl JobQueue {
    /// The jobs, at most `most`: unfinished ones first, then the last finished.
    pub fn jobs(&self, most: usize) -> Vec<JobView> {
        let jobs = self.lock_jobs();
        let view = jobs.in_order().take(most).map(|(key, entry)| {
            let job = &entry.job;
            let due = job.not_before > Time::default();
            JobView {
                id: key.0.clone(),
                service: job.service.clone(),
                state: job.state,
                instances: job.instances,
                arrived: entry.arrived.len(),
                created: job.created.text(),
                changed: job.changed.text(),
                doubt: job.doubt,
                expected: job.expected,
                attempts: job.attempts,
                not_before: due.then(|| job.not_before.text()),
                reason: job.why(),
            }
        });
        view.collect()
    }

    /// Number of jobs of each service in each state, including services that the settings no longer have.
    pub fn counts(&self) -> BTreeMap<String, [usize; JobState::ALL.len()]> {
        self.lock_jobs().counts().clone()
    }

    /// Number of unfinished jobs whose service the settings no longer have.
    pub fn orphans(&self) -> usize {
        self.lock_jobs().orphans()
    }

    /// Number of jobs that may lack instances.
    pub fn doubtful(&self) -> usize {
        self.lock_jobs().doubtful()
    }

    /// Number of jobs that could not be read when the node started, and were moved to `damaged`.
    pub fn damaged(&self) -> usize {
        self.damaged.len()
    }

    /// Services whose bundle has changed since the node started.
    pub fn changed_bundles(&self) -> Vec<&str> {
        let services = self.services.iter().enumerate();
        services
            .filter(|(index, _)| self.bundle_has_changed(*index))
            .map(|(_, service)| service.ae_title.as_str())
            .collect()
    }

    /// Services whose last jobs all failed, with the reason of the last.
    pub fn failing(&self) -> BTreeMap<String, String> {
        let jobs = self.lock_jobs();
        let failing = jobs.last_ended(FAILED_JOBS).filter_map(|(service, jobs)| {
            let all = jobs.iter().all(|entry| entry.job.state == JobState::Failed);
            let reason = jobs.first()?.job.why().unwrap_or_default();
            (all && jobs.len() == FAILED_JOBS).then(|| (service.to_owned(), reason))
        });
        failing.collect()
    }

    /// How long the longest waiting job has waited for a prediction or to be sent.
    pub fn longest_wait(&self) -> Duration {
        let since = self.lock_jobs().waits_since();
        since.map_or(Duration::ZERO, |since| Time::now().since(since))
    }

    /// Number of undelivered jobs.
    pub fn undelivered(&self) -> usize {
        let jobs = self.lock_jobs();
        let counts = jobs.counts().values();
        counts
            .map(|counts| counts[JobState::Undelivered.index()])
            .sum()
    }
}
