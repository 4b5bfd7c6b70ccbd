//! Sends results to destinations.

mod requester;

use std::path::PathBuf;
use std::time::Duration;

pub use requester::{SendError, Sends, echo, store};
use vesal_io::dicom::Instance;

use crate::config::Peer;
use crate::log;
use crate::metrics::Counter;
use crate::network::command::status;
use crate::network::requester::PeerError;
use crate::node_state::NodeState;
use crate::queue::{JobKey, JobState, PriorSend, SendOutcome, SendTicket};
use crate::reason::Undelivered;

/// Interval of checks for a job to be sent.
const LOOK_PAUSE: Duration = Duration::from_millis(100);

/// Releases a job whose outcome was not recorded.
struct Sending<'a> {
    shared: &'a NodeState,
    ticket: &'a SendTicket,
    noted: bool,
}

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        if !self.noted {
            self.shared.queue.send_lost(self.ticket);
        }
    }
}

/// Sends jobs until the node stops.
pub fn send(shared: &NodeState) {
    while !shared.stop.is_requested() {
        match shared.queue.take_send() {
            Ok(Some(ticket)) => {
                let mut sending = Sending {
                    shared,
                    ticket: &ticket,
                    noted: false,
                };
                let end = deliver(shared, &ticket);
                let Some(state) = shared.persist(|| shared.queue.sent(&ticket, &end)) else {
                    continue;
                };
                sending.noted = true;
                match state {
                    // Other destinations have no outcome yet.
                    None => {}
                    Some(JobState::Done) => {
                        log::info(format_args!("job {}: delivered", ticket.key))
                    }
                    Some(state) => log::warning(format_args!(
                        "job {}: not delivered everywhere, now {}",
                        ticket.key,
                        state.word()
                    )),
                }
            }
            Ok(None) => {
                shared.stop.pause(LOOK_PAUSE);
            }
            // Another job may succeed.
            Err(reason) => {
                log::error(format_args!("cannot be sent now: {reason}"));
                shared.stop.pause(LOOK_PAUSE);
            }
        }
    }
}

/// Sends the results that the destination has not accepted yet.
fn deliver(shared: &NodeState, ticket: &SendTicket) -> SendOutcome {
    let Some(name) = ticket.destination.as_deref() else {
        return SendOutcome::Done;
    };
    let Some(destination) = shared.config.destinations.get(name) else {
        return SendOutcome::Done;
    };
    if ticket.results.is_empty() {
        return SendOutcome::Done;
    }
    if shared.stop.is_requested() {
        return SendOutcome::Interrupted;
    }
    match deliver_to(shared, ticket, name, destination) {
        Ok(()) => {
            shared.destinations.note(name, None);
            SendOutcome::Done
        }
        Err(error) if error.is_stop() => SendOutcome::Interrupted,
        Err(error) => {
            shared.metrics.count(Counter::SendFailures, &[name]);
            shared.destinations.note(name, Some(error.to_string()));
            log::warning(format_args!(
                "job {}: not delivered to `{name}`: {error}",
                ticket.key
            ));
            SendOutcome::Retry(code(&error))
        }
    }
}

/// The code of an error for the job's record.
fn code(error: &SendError) -> Undelivered {
    match error {
        SendError::Peer(PeerError::Connect(_)) => Undelivered::Connection,
        SendError::Peer(PeerError::NotAccepted { .. }) => Undelivered::Class,
        SendError::Status { status } => Undelivered::Status { status: *status },
        SendError::Duplicate => Undelivered::Duplicate,
        SendError::Result(_) | SendError::File(_) => Undelivered::File,
        SendError::Note(_) => Undelivered::Note,
        _ => Undelivered::Association,
    }
}

fn deliver_to(
    shared: &NodeState,
    ticket: &SendTicket,
    name: &str,
    destination: &Peer,
) -> Result<(), SendError> {
    let paths: Vec<_> = ticket.results.values().map(PathBuf::as_path).collect();
    let mut notes = Notes {
        shared,
        key: &ticket.key,
        destination: name,
        results: ticket.results.keys().map(String::as_str).collect(),
        sent: PriorSend::Never,
    };
    let (limits, stop) = (&shared.config.limits, &shared.stop);
    store(destination, limits, stop, &paths, &mut notes)
}

/// Records in the queue what is sent, and the answers.
struct Notes<'a> {
    shared: &'a NodeState,
    key: &'a JobKey,
    destination: &'a str,
    /// Digests of the names of the results.
    results: Vec<&'a str>,
    /// Whether the current result was sent before.
    sent: PriorSend,
}

impl Sends for Notes<'_> {
    fn begins(&mut self, _: usize, instance: &Instance) -> Result<(), SendError> {
        let queue = &self.shared.queue;
        let sent = queue.sends(self.key, self.destination, &instance.instance);
        self.sent = sent.map_err(SendError::Note)?;
        Ok(())
    }

    fn answered(
        &mut self,
        index: usize,
        instance: &Instance,
        status: u16,
    ) -> Result<(), SendError> {
        let (queue, destination) = (&self.shared.queue, self.destination);
        let is_duplicate = status == status::DUPLICATE;
        // A result that was sent before may have been accepted, and the response lost.
        if status::is_taken(status) || is_duplicate && self.sent == PriorSend::Before {
            self.shared.metrics.count(Counter::Sent, &[destination]);
            let noted = queue.delivered(self.key, destination, self.results[index]);
            // If this cannot be recorded, the result is sent again.
            return noted.map_err(SendError::Note);
        }
        if self.sent == PriorSend::Never {
            queue
                .refused(self.key, destination, &instance.instance, is_duplicate)
                .map_err(SendError::Note)?;
        }
        Err(if is_duplicate {
            SendError::Duplicate
        } else {
            SendError::Status { status }
        })
    }
}
