//! The callers and sources of jobs.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::failures::{Failing, Failures};
use crate::queue::{JobKey, UnsettledJob};

/// How long the callers of a job are remembered, at least.
const CALLERS_KEPT: Duration = Duration::from_secs(60);

/// The callers of each job, and the failures of sources.
#[derive(Debug, Default)]
pub struct SourceTracker {
    callers: Mutex<HashMap<JobKey, (BTreeSet<String>, Instant)>>,
    pub(super) failures: Failures,
}

impl SourceTracker {
    /// Records that a caller has sent an instance of a job.
    pub fn note_caller(&self, key: &JobKey, calling: &str) {
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        let (known, last) = callers
            .entry(key.clone())
            .or_insert_with(|| (BTreeSet::new(), Instant::now()));
        if !known.contains(calling) {
            known.insert(calling.to_owned());
        }
        *last = Instant::now();
    }

    pub fn failing(&self) -> BTreeMap<String, Failing> {
        self.failures.failing()
    }

    /// AE titles of the callers that have sent into a job.
    pub(super) fn callers(&self, key: &JobKey) -> BTreeSet<String> {
        let callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        callers
            .get(key)
            .map(|(known, _)| known.clone())
            .unwrap_or_default()
    }

    /// Forgets the callers of other jobs than these.
    pub(super) fn forget_all_but(&self, jobs: &[UnsettledJob]) {
        let kept: BTreeSet<&JobKey> = jobs.iter().map(|job| &job.key).collect();
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        callers.retain(|key, (_, last)| kept.contains(key) || last.elapsed() < CALLERS_KEPT);
    }
}
