//! State that the threads of a node share.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::config::Config;
use crate::failures::Failures;
use crate::find::SourceTracker;
use crate::log::{self, RateLimitedLog};
use crate::metrics::NodeMetrics;
use crate::queue::JobQueue;
use crate::receive::ConnectionSlots;
use crate::space::StorageSpace;
use crate::stop::Stop;

/// Pause after a failure of the disk.
const DISK_PAUSE: Duration = Duration::from_secs(5);

/// Attempts to write to the queue; after these, other jobs have their turn.
const WRITE_ATTEMPTS: u32 = 12;

/// State that the threads of a node share.
pub struct NodeState {
    pub config: Config,
    pub queue: JobQueue,
    pub space: StorageSpace,
    pub metrics: NodeMetrics,
    pub stop: Arc<Stop>,
    pub slots: Arc<ConnectionSlots>,
    /// Failures in a row of destinations, by name.
    pub destinations: Failures,
    /// Failures in a row of receiving, by cause: `STORAGE`.
    pub receiving: Failures,
    /// Callers of jobs, and failures of sources.
    pub sources: SourceTracker,
    /// Warnings about connections that are not served.
    pub rejected: RateLimitedLog,
}

impl NodeState {
    /// Writes to the queue, and tries again for a while if the disk fails; `None` if it fails for longer, or the node
    /// stops before. The caller does unrecorded work again.
    pub fn persist<T>(&self, mut write: impl FnMut() -> io::Result<T>) -> Option<T> {
        for _ in 0..WRITE_ATTEMPTS {
            match write() {
                Ok(noted) => return Some(noted),
                Err(reason) => {
                    log::error(format_args!("the queue cannot be written: {reason}"));
                    if !self.stop.pause(DISK_PAUSE) {
                        return None;
                    }
                }
            }
        }
        None
    }
}
