//! Sends results on.

mod requester;

use std::path::PathBuf;
use std::time::Duration;

pub use requester::{SendError, echo, store};

use crate::config::Destination;
use crate::log;
use crate::metrics::Counter;
use crate::node::Shared;
use crate::queue::{SendEnd, SendTicket};
use crate::work::note;

/// Pause between looks for something to send.
const LOOK_PAUSE: Duration = Duration::from_millis(100);

/// Sends one job after the other until the node stops.
pub fn send(shared: &Shared) {
    while !shared.stop.is_requested() {
        match shared.queue.take_send() {
            Ok(Some(ticket)) => {
                let end = deliver(shared, &ticket);
                let Some(state) = note(shared, || shared.queue.sent(&ticket.key, &end)) else {
                    return;
                };
                match &end {
                    SendEnd::Retry(reason) => log::warning(format_args!(
                        "job {}: not delivered everywhere, now {}: {reason}",
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
            Err(reason) => {
                log::error(format_args!("no results can be sent: {reason}"));
                shared.stop.pause(Duration::from_secs(5));
            }
        }
    }
}

/// Sends what destinations have not taken yet.
fn deliver(shared: &Shared, ticket: &SendTicket) -> SendEnd {
    let mut failures = Vec::new();
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
                failures.push(format!("destination `{name}`: {error}"));
            }
        }
    }
    if failures.is_empty() {
        SendEnd::Done
    } else {
        SendEnd::Retry(failures.join("; "))
    }
}

fn deliver_to(
    shared: &Shared,
    ticket: &SendTicket,
    name: &str,
    destination: &Destination,
    left: &[(&String, &PathBuf)],
) -> Result<(), SendError> {
    let mut noted = Ok(());
    let paths: Vec<_> = left.iter().map(|(_, path)| path.as_path()).collect();
    store(
        destination,
        &shared.config.limits,
        &shared.stop,
        &paths,
        |index| {
            shared.metrics.count(Counter::Sent, &[name]);
            if noted.is_ok() {
                noted = shared.queue.delivered(&ticket.key, name, left[index].0);
            }
        },
    )?;
    // What was taken and cannot be noted, is sent again.
    noted.map_err(SendError::Note)
}
