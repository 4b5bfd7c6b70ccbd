//! Shutdown of a node: requested once, and over after a grace period.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Whether the node is to stop, and until when work in progress may continue.
#[derive(Debug, Default)]
pub struct Stop {
    requested: AtomicBool,
    end: Mutex<Option<Instant>>,
}

impl Stop {
    /// Requests to stop; work in progress gets a grace period.
    pub fn request(&self, grace: Duration) {
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        end.get_or_insert(Instant::now() + grace);
        self.requested.store(true, Ordering::Release);
    }

    /// Ends the grace period.
    pub fn finish(&self) {
        *self.end.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        self.requested.store(true, Ordering::Release);
    }

    /// Whether no new work may begin.
    pub fn is_requested(&self) -> bool {
        self.requested.load(Ordering::Acquire)
    }

    /// Whether the grace period is over.
    pub fn is_over(&self) -> bool {
        self.is_requested()
            && self
                .end
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .is_some_and(|end| Instant::now() >= end)
    }

    /// Waits; returns `false` as soon as a stop is requested.
    pub fn pause(&self, pause: Duration) -> bool {
        let end = Instant::now() + pause;
        while !self.is_requested() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            std::thread::sleep(left.min(Duration::from_millis(50)));
        }
        false
    }
}
