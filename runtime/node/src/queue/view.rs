//! What others may know of the queue.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::clock::Time;
use crate::queue::{Job, Queue, State};

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
        let mut jobs: Vec<_> = units.iter().collect();
        jobs.sort_by_key(|(_, unit)| {
            let is_final = unit.job.state.is_final();
            let age = unit.job.changed.0;
            (is_final, if is_final { u64::MAX - age } else { age })
        });
        let view = jobs.into_iter().take(most).map(|(key, unit)| {
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
                reason: job.reason.clone(),
            }
        });
        view.collect()
    }

    /// Jobs of each service in each state; also of services that the settings no longer have.
    pub fn counts(&self) -> BTreeMap<String, [usize; State::ALL.len()]> {
        let services = self.services.iter();
        let mut counts: BTreeMap<_, _> = services
            .map(|service| (service.ae_title.clone(), [0; State::ALL.len()]))
            .collect();
        for unit in self.units().values() {
            let counts = counts.entry(unit.job.service.clone()).or_default();
            if let Some(state) = State::ALL.iter().position(|state| *state == unit.job.state) {
                counts[state] += 1;
            }
        }
        counts
    }

    /// Jobs that wait for services that the settings no longer have.
    pub fn orphans(&self) -> usize {
        let units = self.units();
        let orphans = units
            .values()
            .filter(|unit| unit.service.is_none() && !unit.job.state.is_final());
        orphans.count()
    }

    /// Services of which the last few jobs all failed, with the reason of the last.
    pub fn failing(&self) -> BTreeMap<String, String> {
        let units = self.units();
        let mut ended: BTreeMap<&str, Vec<&Job>> = BTreeMap::new();
        for unit in units.values().filter(|unit| unit.job.state.is_final()) {
            let jobs = ended.entry(&unit.job.service).or_default();
            jobs.push(&unit.job);
        }
        let failing = |(service, mut jobs): (&str, Vec<&Job>)| {
            jobs.sort_by_key(|job| u64::MAX - job.changed.0);
            jobs.truncate(FAILED_JOBS);
            let all = jobs.iter().all(|job| job.state == State::Failed);
            let reason = jobs.first()?.reason.clone().unwrap_or_default();
            (all && jobs.len() == FAILED_JOBS).then(|| (service.to_owned(), reason))
        };
        ended.into_iter().filter_map(failing).collect()
    }

    /// How long the job has waited that waits longest for a prediction or to be sent.
    pub fn longest_wait(&self) -> Duration {
        let now = Time::now();
        let units = self.units();
        let waiting = units
            .values()
            .filter(|unit| matches!(unit.job.state, State::Queued | State::Sending));
        let waits = waiting.map(|unit| now.since(unit.job.changed));
        waits.max().unwrap_or_default()
    }

    /// Jobs that no destination took in many tries.
    pub fn undelivered(&self) -> usize {
        let units = self.units();
        let undelivered = units
            .values()
            .filter(|unit| unit.job.state == State::Undelivered);
        undelivered.count()
    }
}
