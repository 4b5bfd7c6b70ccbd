//! Runs the predictions of complete jobs.

mod child;
mod limits;
mod program;
mod request;

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

pub use child::ChildProcess;
pub use program::{ExitMeaning, PredictionProgram};
pub use request::{Predict, PredictionRequest};

use crate::log;
use crate::metrics::Counter;
use crate::node_state::NodeState;
use crate::queue::{RunOutcome, RunTicket};
use crate::reason::Reason;

/// Interval of checks for a job.
const LOOK_PAUSE: Duration = Duration::from_millis(100);

/// Predicts jobs until the node stops.
pub fn work(shared: &NodeState, predict: &Arc<dyn Predict>) {
    while !shared.stop.is_requested() {
        match shared.queue.take_run() {
            Ok(Some(ticket)) => run(shared, predict.as_ref(), &ticket),
            Ok(None) => {
                shared.stop.pause(LOOK_PAUSE);
            }
            // Another job may succeed.
            Err(reason) => {
                log::error(format_args!("cannot be predicted now: {reason}"));
                shared.stop.pause(LOOK_PAUSE);
            }
        }
    }
}

/// Releases a job whose outcome was not recorded.
struct Running<'a> {
    shared: &'a NodeState,
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
            // The next attempt may panic as well: this counts as one.
            match queue.ran(self.ticket, &RunOutcome::Retry(Reason::Bug)) {
                Ok(_) => return,
                Err(reason) => log::error(format_args!("the queue cannot be written: {reason}")),
            }
        }
        queue.run_lost(self.ticket);
    }
}

fn run(shared: &NodeState, predict: &dyn Predict, ticket: &RunTicket) {
    let mut running = Running {
        shared,
        ticket,
        noted: false,
    };
    let service = &shared.queue.services()[ticket.service];
    let request = PredictionRequest {
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
    let end = match predict.predict(&request, &shared.stop) {
        // All images fail until the node is started again with the new bundle.
        RunOutcome::Retry(Reason::Bundle) if shared.queue.bundle_has_changed(ticket.service) => {
            RunOutcome::Failed(Reason::BundleChanged)
        }
        end => end,
    };
    let time = start.elapsed();
    let (outcome, reason) = match &end {
        RunOutcome::Done => ("done", None),
        RunOutcome::Failed(reason) => ("failed", Some(reason)),
        RunOutcome::Retry(reason) => ("retry", Some(reason)),
        RunOutcome::Interrupted => ("interrupted", None),
    };
    let title = service.ae_title.as_str();
    shared.metrics.count(Counter::Runs, &[title, outcome]);
    shared.metrics.time(Counter::RunSeconds, &[title], time);
    let Some(state) = shared.persist(|| shared.queue.ran(ticket, &end)) else {
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
