//! Consecutive failures of destinations, sources and the disk.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::clock::Time;

/// Name of failures of the disk.
pub const STORAGE: &str = "storage";

/// Consecutive failures, by name.
#[derive(Debug, Default)]
pub struct Failures(Mutex<BTreeMap<String, Failing>>);

/// Consecutive failures of a peer or resource.
#[derive(Debug, Clone)]
pub struct Failing {
    pub since: Time,
    pub failures: u32,
    pub reason: String,
}

impl Failures {
    /// Records the outcome of an attempt: `None` for success.
    pub fn note(&self, name: &str, failure: Option<String>) {
        let mut failing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match failure {
            None => {
                failing.remove(name);
            }
            Some(reason) => {
                let entry = failing.entry(name.to_owned()).or_insert(Failing {
                    since: Time::now(),
                    failures: 0,
                    reason: String::new(),
                });
                entry.failures += 1;
                entry.reason = reason;
            }
        }
    }

    /// Those whose last attempt failed.
    pub fn failing(&self) -> BTreeMap<String, Failing> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
