//! Queries sources for the number of instances of a series or study, so that a complete job need not wait.

mod ask;
pub mod identifier;
mod sources;

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

pub use ask::{AskError, CountQuery, FIND, count};
pub use sources::SourceTracker;
use vesal_io::dicom::Instance;

use crate::config::{Grouping, SourcePeer};
use crate::log;
use crate::metrics::Counter;
use crate::node_state::NodeState;
use crate::queue::{JobKey, SourceCount, UnsettledJob};

/// Interval of checks for jobs to query.
const LOOK_PAUSE: Duration = Duration::from_millis(200);

/// Pauses between queries of a job, and after a failure of a source: they double up to the longest.
const PAUSE: Duration = Duration::from_secs(5);
const PAUSE_MAX: Duration = Duration::from_secs(120);

/// A pause that doubles with each failure.
#[derive(Debug, Clone, Copy)]
struct Backoff {
    until: Instant,
    pause: Duration,
}

impl Backoff {
    fn after(before: Option<Self>) -> Self {
        let pause = before.map_or(PAUSE, |before| (2 * before.pause).min(PAUSE_MAX));
        Self {
            until: Instant::now() + pause,
            pause,
        }
    }

    fn is_over(self) -> bool {
        Instant::now() >= self.until
    }
}

/// The queries so far.
#[derive(Default)]
struct AskHistory {
    /// For each job, the number of instances then, and the pause until the next query if that has not changed.
    jobs: HashMap<JobKey, (usize, Backoff)>,
    /// For each source that failed, the pause until the next query.
    sources: HashMap<String, Backoff>,
}

/// Queries sources about jobs until the node stops.
pub fn ask(shared: &NodeState) {
    let mut asked = AskHistory::default();
    while shared.stop.pause(LOOK_PAUSE) {
        let jobs = shared.queue.unsettled();
        shared.sources.forget_all_but(&jobs);
        let kept: BTreeSet<&JobKey> = jobs.iter().map(|job| &job.key).collect();
        asked.jobs.retain(|key, _| kept.contains(key));
        for job in &jobs {
            if shared.stop.is_requested() {
                return;
            }
            asked.about(shared, job);
        }
    }
}

impl AskHistory {
    fn about(&mut self, shared: &NodeState, job: &UnsettledJob) {
        let before = self
            .jobs
            .get(&job.key)
            .filter(|(arrived, _)| *arrived == job.arrived);
        if before.is_some_and(|(_, pause)| !pause.is_over()) {
            return;
        }
        let again = Backoff::after(before.map(|(_, pause)| *pause));
        let callers = shared.sources.callers(&job.key);
        for source in &shared.config.sources {
            let pauses = self.sources.get(&source.name);
            if !source.answers_for(&callers)
                || job.rest < source.rest
                || pauses.is_some_and(|pause| !pause.is_over())
            {
                continue;
            }
            self.jobs.insert(job.key.clone(), (job.arrived, again));
            if self.put(shared, job, source) {
                return;
            }
        }
    }

    /// Queries a source about a job; returns whether no other source is to be queried.
    fn put(&mut self, shared: &NodeState, job: &UnsettledJob, source: &SourcePeer) -> bool {
        let outcome = match put(shared, job, source) {
            Ok(Some(outcome)) => outcome,
            // No source was queried.
            Ok(None) => return true,
            Err(error) if error.is_stop() => return true,
            Err(AskError::Unknown) => {
                log::debug(format_args!(
                    "job {}: source `{}` does not have it",
                    job.key, source.name
                ));
                UNKNOWN
            }
            Err(error) => {
                let pause = Backoff::after(self.sources.remove(&source.name));
                self.sources.insert(source.name.clone(), pause);
                log::warning(format_args!(
                    "job {}: source `{}` cannot be queried: {error}",
                    job.key, source.name
                ));
                let failures = &shared.sources.failures;
                failures.note(&source.name, Some(error.to_string()));
                let labels = [source.name.as_str(), "failed"];
                shared.metrics.count(Counter::Questions, &labels);
                return false;
            }
        };
        self.sources.remove(&source.name);
        shared.sources.failures.note(&source.name, None);
        let labels = [source.name.as_str(), outcome];
        shared.metrics.count(Counter::Questions, &labels);
        outcome != UNKNOWN
    }
}

/// Outcome of a query that did not find the series or study.
const UNKNOWN: &str = "unknown";

/// Queries a source about a job and records the answer; returns the outcome for metrics. `None` where the job has
/// changed meanwhile and will be queried again.
fn put(
    shared: &NodeState,
    job: &UnsettledJob,
    source: &SourcePeer,
) -> Result<Option<&'static str>, AskError> {
    let Ok(Some(held)) = shared.queue.held(&job.key) else {
        return Ok(None);
    };
    let Ok(instance) = Instance::read(&held.sample) else {
        return Ok(None);
    };
    let question = CountQuery {
        study: &instance.study,
        series: (job.unit == Grouping::Series).then_some(instance.series.as_str()),
        instances: held.instances,
    };
    let limits = &shared.config.limits;
    let expected = count(&source.peer, limits, &shared.stop, &question)?;
    let counted = SourceCount {
        expected,
        instances: held.instances,
        next: held.next,
    };
    shared.queue.note_count(&job.key, counted);
    log::debug(format_args!(
        "job {}: source `{}` has {expected} instances, {} are here",
        job.key, source.name, held.instances
    ));
    Ok(Some(match expected.cmp(&held.instances) {
        std::cmp::Ordering::Equal => "agrees",
        std::cmp::Ordering::Greater => "more there",
        std::cmp::Ordering::Less => "fewer there",
    }))
}
