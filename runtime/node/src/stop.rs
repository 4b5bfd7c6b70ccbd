//! The end of a node: asked for once, and over a while later.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Whether the node is to stop, and until when work in progress may go on.
#[derive(Debug, Default)]
pub struct Stop {
    requested: AtomicBool,
    end: Mutex<Option<Instant>>,
}

impl Stop {
    /// Asks to stop; what is in progress gets so much time.
    pub fn request(&self, grace: Duration) {
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        end.get_or_insert(Instant::now() + grace);
        self.requested.store(true, Ordering::Release);
    }

    /// Ends what still goes on.
    pub fn finish(&self) {
        *self.end.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        self.requested.store(true, Ordering::Release);
    }

    /// Whether nothing new is to begin.
    pub fn is_requested(&self) -> bool {
        self.requested.load(Ordering::Acquire)
    }

    /// Whether nothing may go on.
    pub fn is_over(&self) -> bool {
        self.is_requested()
            && self
                .end
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .is_some_and(|end| Instant::now() >= end)
    }

    /// Waits for so long, or until the node is to stop: then `false`.
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
