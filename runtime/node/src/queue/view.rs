//! What others may know of the queue.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::clock::Time;
use crate::queue::{Queue, State};

/// Jobs in a row that fail before a service counts as failing.
const FAILED_JOBS: usize = 3;

/// A job as it is told.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct JobView {
    /// Its name: a digest.
    pub id: String,
    /// Called AE title.
    pub service: String,
    /// Where it is on its way.
    pub state: State,
    /// Instances that are or were predicted.
    pub instances: usize,
    /// Instances that wait to be taken in.
    pub arrived: usize,
    /// When its first instance came.
    pub created: String,
    /// When it came into its state.
    pub changed: String,
    /// Whether instances may be missing.
    pub doubt: bool,
    /// Instances that its source has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<usize>,
    /// Tries in its state that failed.
    pub attempts: u32,
    /// When the next try is due.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_before: Option<String>,
    /// Why the last try failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Queue {
    /// The jobs: first those on their way, then the latest of the others, so many in all at most.
    pub fn jobs(&self, most: usize) -> Vec<JobView> {
        let units = self.units();
        let view = units.in_order().take(most).map(|(key, unit)| {
            let job = &unit.job;
            let due = job.not_before > Time::default();
            JobView {
                id: key.0.clone(),
                service: job.service.clone(),
                state: job.state,
                instances: job.instances,
                arrived: unit.arrived.len(),
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

    /// Jobs of each service in each state; also of services that the settings no longer have.
    pub fn counts(&self) -> BTreeMap<String, [usize; State::ALL.len()]> {
        self.units().counts().clone()
    }

    /// Jobs that wait for services that the settings no longer have.
    pub fn orphans(&self) -> usize {
        self.units().orphans()
    }

    /// Jobs of which instances may be missing.
    pub fn doubtful(&self) -> usize {
        self.units().doubtful()
    }

    /// Jobs that could not be read when the node began, and were set aside.
    pub fn damaged(&self) -> usize {
        self.damaged.len()
    }

    /// Services whose bundle is no longer the one that was there when the node began.
    pub fn changed_bundles(&self) -> Vec<&str> {
        let services = self.services.iter().enumerate();
        services
            .filter(|(index, _)| self.bundle_has_changed(*index))
            .map(|(_, service)| service.ae_title.as_str())
            .collect()
    }

    /// Services of which the last few jobs all failed, with the reason of the last.
    pub fn failing(&self) -> BTreeMap<String, String> {
        let units = self.units();
        let failing = units
            .last_ended(FAILED_JOBS)
            .filter_map(|(service, units)| {
                let all = units.iter().all(|unit| unit.job.state == State::Failed);
                let reason = units.first()?.job.why().unwrap_or_default();
                (all && units.len() == FAILED_JOBS).then(|| (service.to_owned(), reason))
            });
        failing.collect()
    }

    /// How long the job has waited that waits longest for a prediction or to be sent.
    pub fn longest_wait(&self) -> Duration {
        let since = self.units().waits_since();
        since.map_or(Duration::ZERO, |since| Time::now().since(since))
    }

    /// Jobs that no destination took in many tries.
    pub fn undelivered(&self) -> usize {
        let units = self.units();
        let counts = units.counts().values();
        counts
            .map(|counts| counts[State::Undelivered.index()])
            .sum()
    }
}
