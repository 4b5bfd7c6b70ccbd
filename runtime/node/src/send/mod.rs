//! Sends results on.

mod requester;

use std::path::PathBuf;
use std::time::Duration;

pub use requester::{SendError, Sends, echo, store};
use vesal_io::dicom::Instance;

use crate::config::Destination;
use crate::log;
use crate::metrics::Counter;
use crate::network::command::status;
use crate::network::requester::PeerError;
use crate::node::Shared;
use crate::queue::{Key, SendEnd, SendTicket, Sent, State};
use crate::reason::Undelivered;
use crate::work::note;

/// Pause between looks for something to send.
const LOOK_PAUSE: Duration = Duration::from_millis(100);

/// Lets go of a job whose sending is not noted.
struct Sending<'a> {
    shared: &'a Shared,
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

/// Sends one job after the other until the node stops.
pub fn send(shared: &Shared) {
    while !shared.stop.is_requested() {
        match shared.queue.take_send() {
            Ok(Some(ticket)) => {
                let mut sending = Sending {
                    shared,
                    ticket: &ticket,
                    noted: false,
                };
                let end = deliver(shared, &ticket);
                let Some(state) = note(shared, || shared.queue.sent(&ticket, &end)) else {
                    continue;
                };
                sending.noted = true;
                match state {
                    // Other destinations are not through with it.
                    None => {}
                    Some(State::Done) => log::info(format_args!("job {}: delivered", ticket.key)),
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
            // Another one may do.
            Err(reason) => {
                log::error(format_args!("cannot be sent now: {reason}"));
                shared.stop.pause(LOOK_PAUSE);
            }
        }
    }
}

/// Sends what the destination has not taken yet.
fn deliver(shared: &Shared, ticket: &SendTicket) -> SendEnd {
    let Some(name) = ticket.destination.as_deref() else {
        return SendEnd::Done;
    };
    let Some(destination) = shared.config.destinations.get(name) else {
        return SendEnd::Done;
    };
    if ticket.results.is_empty() {
        return SendEnd::Done;
    }
    if shared.stop.is_requested() {
        return SendEnd::Interrupted;
    }
    match deliver_to(shared, ticket, name, destination) {
        Ok(()) => {
            shared.destinations.note(name, None);
            SendEnd::Done
        }
        Err(error) if error.is_stop() => SendEnd::Interrupted,
        Err(error) => {
            shared.metrics.count(Counter::SendFailures, &[name]);
            shared.destinations.note(name, Some(error.to_string()));
            log::warning(format_args!(
                "job {}: not delivered to `{name}`: {error}",
                ticket.key
            ));
            SendEnd::Retry(code(&error))
        }
    }
}

/// What is noted of an error.
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
    shared: &Shared,
    ticket: &SendTicket,
    name: &str,
    destination: &Destination,
) -> Result<(), SendError> {
    let paths: Vec<_> = ticket.results.values().map(PathBuf::as_path).collect();
    let mut notes = Notes {
        shared,
        key: &ticket.key,
        destination: name,
        results: ticket.results.keys().map(String::as_str).collect(),
        sent: Sent::Never,
    };
    let (limits, stop) = (&shared.config.limits, &shared.stop);
    store(destination, limits, stop, &paths, &mut notes)
}

/// Notes in the queue what is sent and what becomes of it.
struct Notes<'a> {
    shared: &'a Shared,
    key: &'a Key,
    destination: &'a str,
    /// Digests of the names of the results.
    results: Vec<&'a str>,
    /// Whether the one that is being sent was sent before.
    sent: Sent,
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
        // What was sent before may have been taken, and the answer have been lost.
        if status::is_taken(status) || is_duplicate && self.sent == Sent::Before {
            self.shared.metrics.count(Counter::Sent, &[destination]);
            let noted = queue.delivered(self.key, destination, self.results[index]);
            // What was taken and cannot be noted, is sent again.
            return noted.map_err(SendError::Note);
        }
        if self.sent == Sent::Never {
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
