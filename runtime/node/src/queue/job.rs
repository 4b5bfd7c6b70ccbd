//! The record of a job: one small file, replaced at every change of its state.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::clock::Time;
use crate::reason::{Reason, Undelivered};

pub const VERSION: u32 = 2;

/// The state of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    Collecting,
    /// It is complete and waits for its prediction.
    Queued,
    Running,
    /// Its results are sent, or wait for that.
    Sending,
    /// Its results were not accepted in many attempts; they are tried again at intervals.
    Undelivered,
    Done,
    Failed,
}

impl JobState {
    /// All states in order.
    pub const ALL: [Self; 7] = [
        Self::Collecting,
        Self::Queued,
        Self::Running,
        Self::Sending,
        Self::Undelivered,
        Self::Done,
        Self::Failed,
    ];

    pub fn index(self) -> usize {
        self as usize
    }

    /// Whether the job has finished, successfully or not.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Failed)
    }

    pub fn word(self) -> &'static str {
        match self {
            Self::Collecting => "collecting",
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Sending => "sending",
            Self::Undelivered => "undelivered",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }
}

/// Why instances of a job may be missing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IncompleteReason {
    /// The node ended and cut off open associations. Resolved by any caller that sends again.
    Restart,
    /// Earlier instances of the job cannot be read and were set aside. Not resolved by sending more.
    Damage,
    /// An association of this caller that sent instances of the job broke off or had some refused.
    Caller(String),
    /// As `Caller`, in an association whose missing instances may be of another job.
    Elsewhere(String),
}

/// The record of a job. It contains no UID and nothing else of its data sets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobRecord {
    pub version: u32,
    pub service: String,
    pub state: JobState,
    /// When its first instance came.
    pub created: Time,
    /// Time of its last change of state.
    pub changed: Time,
    /// Number of instances that are predicted.
    #[serde(default)]
    pub instances: usize,
    /// AE title and address of the caller that sent the first of them.
    #[serde(default)]
    pub caller: String,
    /// Whether instances may be missing: an association broke off, or some were refused, and none were sent again.
    #[serde(default)]
    pub doubt: bool,
    /// Number of instances that its source states, where one could be queried.
    #[serde(default)]
    pub expected: Option<usize>,
    /// Why instances may be missing, unless resolved.
    #[serde(default)]
    pub undone: BTreeSet<IncompleteReason>,
    /// Whether a failure is not due to its images, so that it is tried again when the node starts.
    #[serde(default)]
    pub again_at_start: bool,
    /// Failed attempts in its state.
    #[serde(default)]
    pub attempts: u32,
    /// Predictions that the end of the node interrupted.
    #[serde(default)]
    pub interrupted: u32,
    /// When the next attempt is due.
    #[serde(default)]
    pub not_before: Time,
    /// Why the last prediction failed.
    #[serde(default)]
    pub reason: Option<Reason>,
    /// Why destinations have not accepted all results, by their names.
    #[serde(default)]
    pub undelivered: BTreeMap<String, Undelivered>,
    /// Folder of complete results.
    #[serde(default)]
    pub output: Option<String>,
    /// Number of results to be sent to each destination.
    #[serde(default)]
    pub results: usize,
    /// Digests of the names of results that each destination has accepted.
    #[serde(default)]
    pub delivered: BTreeMap<String, Vec<String>>,
    /// The results that were sent to each destination, whether or not it answered: by the digest of their UID, the
    /// digest of their input; empty where the destination may have something else with that UID.
    #[serde(default)]
    pub sent: BTreeMap<String, BTreeMap<String, String>>,
    /// Digest of the input of the results: instances, bundle, settings.
    #[serde(default)]
    pub made_of: String,
    /// Digest of the bundle and the settings that the results were made with.
    #[serde(default)]
    pub settings: String,
}

impl JobRecord {
    /// A job without instances.
    pub fn new(service: &str, now: Time) -> Self {
        Self {
            version: VERSION,
            service: service.to_owned(),
            state: JobState::Collecting,
            created: now,
            changed: now,
            instances: 0,
            caller: String::new(),
            doubt: false,
            expected: None,
            undone: BTreeSet::new(),
            again_at_start: false,
            attempts: 0,
            interrupted: 0,
            not_before: Time::default(),
            reason: None,
            undelivered: BTreeMap::new(),
            output: None,
            results: 0,
            delivered: BTreeMap::new(),
            sent: BTreeMap::new(),
            made_of: String::new(),
            settings: String::new(),
        }
    }

    /// The job in another state, without failed attempts.
    pub fn into_state(&self, state: JobState, now: Time) -> Self {
        Self {
            state,
            changed: now,
            attempts: 0,
            again_at_start: false,
            not_before: Time::default(),
            reason: None,
            undelivered: BTreeMap::new(),
            ..self.clone()
        }
    }

    /// Whether its source states more instances than came.
    pub fn lacks(&self) -> bool {
        self.expected
            .is_some_and(|expected| expected > self.instances)
    }

    /// The job in the state failed, without results.
    pub fn failed(&self, reason: Reason, now: Time) -> Self {
        Self {
            reason: Some(reason),
            ..self.into_state(JobState::Failed, now).without_results()
        }
    }

    /// The job without results.
    pub fn without_results(self) -> Self {
        Self {
            output: None,
            results: 0,
            delivered: BTreeMap::new(),
            ..self
        }
    }

    /// The job after a failed attempt, to be tried again.
    pub fn again(&self, not_before: Time) -> Self {
        Self {
            attempts: self.attempts + 1,
            not_before,
            ..self.clone()
        }
    }

    /// Why the last attempt failed, in words.
    pub fn why(&self) -> Option<String> {
        let reason = self.reason.iter().map(Reason::to_string);
        let undelivered = self.undelivered.iter();
        let destinations = undelivered.map(|(name, why)| format!("destination `{name}`: {why}"));
        let all: Vec<_> = reason.chain(destinations).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }
}
