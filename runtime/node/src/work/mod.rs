//! Has complete jobs predicted.

mod child;
mod limits;
pub(crate) mod orphan;

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

pub use child::ChildProcess;

use crate::config::Service;
use crate::log;
use crate::metrics::Counter;
use crate::node::Shared;
use crate::queue::{RunEnd, RunTicket};
use crate::reason::Reason;
use crate::stop::Stop;

/// What is to be predicted, and where the results go.
#[derive(Debug)]
pub struct Order<'a> {
    /// Bundle and settings.
    pub service: &'a Service,
    /// Folder of the images.
    pub input: &'a Path,
    /// Empty folder for the results.
    pub output: &'a Path,
    /// How long it may take.
    pub limit: Duration,
    /// Whether the results are to say that instances may be missing.
    pub mark_incomplete: bool,
    /// File of the key that UIDs of results are made with.
    pub uid_key: &'a Path,
    /// Bytes of memory that it may take.
    pub run_ram: Option<u64>,
}

/// Who predicts.
pub trait Predict: Send + Sync {
    /// Predicts; ends soon when the node is to stop.
    fn predict(&self, order: &Order<'_>, stop: &Stop) -> RunEnd;
}

/// Pause behind a failure of the disk.
const DISK_PAUSE: Duration = Duration::from_secs(5);

/// Tries to note an end. Its folder may be gone for good, and others wait.
const NOTES: u32 = 12;

/// Pause between looks for something to do.
const LOOK_PAUSE: Duration = Duration::from_millis(100);

/// Predicts one job after the other until the node stops.
pub fn work(shared: &Shared, predict: &Arc<dyn Predict>) {
    while !shared.stop.is_requested() {
        match shared.queue.take_run() {
            Ok(Some(ticket)) => run(shared, predict.as_ref(), &ticket),
            Ok(None) => {
                shared.stop.pause(LOOK_PAUSE);
            }
            // Another one may do.
            Err(reason) => {
                log::error(format_args!("cannot be predicted now: {reason}"));
                shared.stop.pause(LOOK_PAUSE);
            }
        }
    }
}

/// Lets go of a job whose prediction is not noted.
struct Running<'a> {
    shared: &'a Shared,
    ticket: &'a RunTicket,
    noted: bool,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if self.noted {
            return;
        }
        let queue = &self.shared.queue;
        if thread::panicking() {
            // The next try may end the same way: it counts as one.
            match queue.ran(self.ticket, &RunEnd::Retry(Reason::Bug)) {
                Ok(_) => return,
                Err(reason) => log::error(format_args!("the queue cannot be written: {reason}")),
            }
        }
        queue.run_lost(self.ticket);
    }
}

fn run(shared: &Shared, predict: &dyn Predict, ticket: &RunTicket) {
    let mut running = Running {
        shared,
        ticket,
        noted: false,
    };
    let service = &shared.queue.services()[ticket.service];
    let order = Order {
        service,
        input: &ticket.input,
        output: &ticket.output,
        limit: shared.config.limits.run,
        mark_incomplete: ticket.mark_incomplete,
        uid_key: &shared.queue.key_file(),
        run_ram: shared.config.limits.run_ram,
    };
    log::info(format_args!("job {}: is predicted", ticket.key));
    let start = Instant::now();
    let end = match predict.predict(&order, &shared.stop) {
        // Until the node starts with the bundle that is there now, it is the same for all images.
        RunEnd::Retry(Reason::Bundle) if shared.queue.bundle_has_changed(ticket.service) => {
            RunEnd::Failed(Reason::BundleChanged)
        }
        end => end,
    };
    let time = start.elapsed();
    let (outcome, reason) = match &end {
        RunEnd::Done => ("done", None),
        RunEnd::Failed(reason) => ("failed", Some(reason)),
        RunEnd::Retry(reason) => ("retry", Some(reason)),
        RunEnd::Interrupted => ("interrupted", None),
    };
    let title = service.ae_title.as_str();
    shared.metrics.count(Counter::Runs, &[title, outcome]);
    shared.metrics.time(Counter::RunSeconds, &[title], time);
    let Some(state) = note(shared, || shared.queue.ran(ticket, &end)) else {
        return;
    };
    running.noted = true;
    let seconds = time.as_secs_f64();
    match reason {
        None => log::info(format_args!(
            "job {}: prediction {outcome} after {seconds:.1} s, now {}",
            ticket.key,
            state.word()
        )),
        Some(reason) => log::warning(format_args!(
            "job {}: prediction {outcome} after {seconds:.1} s, now {}: {reason}",
            ticket.key,
            state.word()
        )),
    }
}

/// Notes an end as soon as the disk lets it; `None` where it does not, or the node stops before. What is not noted is
/// done again.
pub fn note<T>(shared: &Shared, mut write: impl FnMut() -> std::io::Result<T>) -> Option<T> {
    for _ in 0..NOTES {
        match write() {
            Ok(noted) => return Some(noted),
            Err(reason) => {
                log::error(format_args!("the queue cannot be written: {reason}"));
                if !shared.stop.pause(DISK_PAUSE) {
                    return None;
                }
            }
        }
    }
    None
}
