//! Sends results on.

mod requester;

use std::collections::BTreeMap;
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
use crate::queue::{Key, SendEnd, SendTicket, Sent};
use crate::reason::Undelivered;
use crate::work::note;

/// Pause between looks for something to send.
const LOOK_PAUSE: Duration = Duration::from_millis(100);

/// Lets go of a job whose sending is not noted.
struct Sending<'a> {
    shared: &'a Shared,
    key: &'a Key,
    noted: bool,
}

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        if !self.noted {
            self.shared.queue.send_lost(self.key);
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
                    key: &ticket.key,
                    noted: false,
                };
                let end = deliver(shared, &ticket);
                let Some(state) = note(shared, || shared.queue.sent(&ticket.key, &end)) else {
                    continue;
                };
                sending.noted = true;
                match &end {
                    SendEnd::Retry(_) => log::warning(format_args!(
                        "job {}: not delivered everywhere, now {}",
                        ticket.key,
                        state.word()
                    )),
                    SendEnd::Done => log::info(format_args!("job {}: delivered", ticket.key)),
                    SendEnd::Interrupted => {}
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

/// Sends what destinations have not taken yet.
fn deliver(shared: &Shared, ticket: &SendTicket) -> SendEnd {
    let mut failures = BTreeMap::new();
    for name in &shared.queue.services()[ticket.service].destinations {
        let Some(destination) = shared.config.destinations.get(name) else {
            continue;
        };
        let taken = ticket.delivered.get(name).map_or(&[][..], Vec::as_slice);
        let left: Vec<(&String, &PathBuf)> = ticket
            .results
            .iter()
            .filter(|(digest, _)| !taken.contains(digest))
            .collect();
        if left.is_empty() {
            continue;
        }
        if shared.stop.is_requested() {
            return SendEnd::Interrupted;
        }
        match deliver_to(shared, ticket, name, destination, &left) {
            Ok(()) => shared.destinations.note(name, None),
            Err(error) if error.is_stop() => return SendEnd::Interrupted,
            Err(error) => {
                shared.metrics.count(Counter::SendFailures, &[name]);
                shared.destinations.note(name, Some(error.to_string()));
                log::warning(format_args!(
                    "job {}: not delivered to `{name}`: {error}",
                    ticket.key
                ));
                failures.insert(name.clone(), code(&error));
            }
        }
    }
    if failures.is_empty() {
        SendEnd::Done
    } else {
        SendEnd::Retry(failures)
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
    left: &[(&String, &PathBuf)],
) -> Result<(), SendError> {
    let paths: Vec<_> = left.iter().map(|(_, path)| path.as_path()).collect();
    let mut notes = Notes {
        shared,
        key: &ticket.key,
        destination: name,
        results: left.iter().map(|(digest, _)| digest.as_str()).collect(),
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
