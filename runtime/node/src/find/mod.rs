//! Asks those who send how many instances a series or study has, so that nobody has to wait whether more comes.

mod ask;
pub mod identifier;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

pub use ask::{AskError, FIND, Question, count};
use vesal_io::dicom::Instance;

use crate::config::{Grouping, Source};
use crate::log;
use crate::metrics::Counter;
use crate::node::{Failing, Failures, Shared};
use crate::queue::{Counted, Key, Unsettled};

/// Pause between looks for something to ask about.
const LOOK_PAUSE: Duration = Duration::from_millis(200);

/// Pauses until the same is asked again, and until a source that failed is asked anything: they double up to the longest.
const PAUSE: Duration = Duration::from_secs(5);
const PAUSE_MAX: Duration = Duration::from_secs(120);

/// For so long it is remembered at least who has sent into a job.
const CALLERS_KEPT: Duration = Duration::from_secs(60);

/// Who sent into jobs, and how sources do.
#[derive(Debug, Default)]
pub struct Sources {
    callers: Mutex<HashMap<Key, (BTreeSet<String>, Instant)>>,
    failures: Failures,
}

impl Sources {
    /// Notes that a caller has sent into a job.
    pub fn note_caller(&self, key: &Key, calling: &str) {
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        let (known, last) = callers
            .entry(key.clone())
            .or_insert_with(|| (BTreeSet::new(), Instant::now()));
        if !known.contains(calling) {
            known.insert(calling.to_owned());
        }
        *last = Instant::now();
    }

    /// Sources that do not answer.
    pub fn failing(&self) -> BTreeMap<String, Failing> {
        self.failures.failing()
    }

    fn callers(&self, key: &Key) -> BTreeSet<String> {
        let callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        callers
            .get(key)
            .map(|(known, _)| known.clone())
            .unwrap_or_default()
    }

    fn forget_all_but(&self, jobs: &[Unsettled]) {
        let kept: BTreeSet<&Key> = jobs.iter().map(|job| &job.key).collect();
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        callers.retain(|key, (_, last)| kept.contains(key) || last.elapsed() < CALLERS_KEPT);
    }
}

/// A pause that doubles.
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

/// What was asked before.
#[derive(Default)]
struct Asked {
    /// Of jobs: how many instances had arrived, and when it is asked again if it is still so many.
    jobs: HashMap<Key, (usize, Backoff)>,
    /// Of sources that failed.
    sources: HashMap<String, Backoff>,
}

/// Asks about one job after the other until the node stops.
pub fn ask(shared: &Shared) {
    let mut asked = Asked::default();
    while shared.stop.pause(LOOK_PAUSE) {
        let jobs = shared.queue.unsettled();
        shared.sources.forget_all_but(&jobs);
        let kept: BTreeSet<&Key> = jobs.iter().map(|job| &job.key).collect();
        asked.jobs.retain(|key, _| kept.contains(key));
        for job in &jobs {
            if shared.stop.is_requested() {
                return;
            }
            asked.about(shared, job);
        }
    }
}

impl Asked {
    fn about(&mut self, shared: &Shared, job: &Unsettled) {
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

    /// Asks a source about a job; whether no further one needs to be asked.
    fn put(&mut self, shared: &Shared, job: &Unsettled, source: &Source) -> bool {
        let outcome = match put(shared, job, source) {
            Ok(Some(outcome)) => outcome,
            // Nobody was asked.
            Ok(None) => return true,
            Err(error) if error.is_stop() => return true,
            Err(AskError::Unknown) => {
                log::debug(format_args!(
                    "job {}: source `{}` does not know it",
                    job.key, source.name
                ));
                UNKNOWN
            }
            Err(error) => {
                let pause = Backoff::after(self.sources.remove(&source.name));
                self.sources.insert(source.name.clone(), pause);
                log::warning(format_args!(
                    "job {}: source `{}` cannot be asked: {error}",
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

/// The word for an answer without the series or study.
const UNKNOWN: &str = "unknown";

/// Asks a source about a job, and notes the answer there; a word for it. `None` where the job has changed meanwhile:
/// there will be another time.
fn put(
    shared: &Shared,
    job: &Unsettled,
    source: &Source,
) -> Result<Option<&'static str>, AskError> {
    let Ok(Some(held)) = shared.queue.held(&job.key) else {
        return Ok(None);
    };
    let Ok(instance) = Instance::read(&held.sample) else {
        return Ok(None);
    };
    let question = Question {
        study: &instance.study,
        series: (job.unit == Grouping::Series).then_some(instance.series.as_str()),
        instances: held.instances,
    };
    let limits = &shared.config.limits;
    let expected = count(&source.peer, limits, &shared.stop, &question)?;
    let counted = Counted {
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
