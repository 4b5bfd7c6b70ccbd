//! Jobs whose results are sent.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use crate::clock::Time;
use crate::log;
use crate::queue::predict::{begin, pause};
use crate::queue::unit::{AGAIN, Unit, Way};
use crate::queue::{Job, Key, Queue, State};
use crate::reason::{Reason, Undelivered};

/// A job whose results are to be sent to a destination.
#[derive(Debug)]
pub struct SendTicket {
    /// Which.
    pub key: Key,
    /// Name of the destination; `None` where the service has none any more.
    pub destination: Option<String>,
    /// Files of results that it has not taken yet, by digest of their names.
    pub results: BTreeMap<String, PathBuf>,
    /// Which service, and which of its destinations.
    way: Way,
}

/// How sending to a destination ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendEnd {
    /// It has taken everything.
    Done,
    /// It has not.
    Retry(Undelivered),
    /// The node stops.
    Interrupted,
}

/// What a destination may have under the UID of a result before it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// Nothing of this node.
    Never,
    /// Something of this node that was made of something else, or something of others.
    Other,
    /// The same: it was sent before, and the answer may have been lost.
    Before,
}

impl Queue {
    /// Takes the job that has waited longest for being sent to a destination. Every destination of a service has its
    /// own turns: one that does not answer holds up no other.
    ///
    /// **Errors**: the system cannot list its results. The job is then left alone for a while.
    pub fn take_send(&self) -> io::Result<Option<SendTicket>> {
        let mut units = self.units();
        let Some((way, key)) = units.next_send(Time::now()) else {
            return Ok(None);
        };
        begin(&mut units, &key, |unit| {
            let Some(output) = &unit.job.output else {
                return Ok(None);
            };
            let results = unit.folder.results(output)?;
            if results.len() < unit.job.results {
                let gone = unit.job.results - results.len();
                log::error(format_args!("job {key}: {gone} of its results are gone"));
                let reason = Reason::ResultsGone { results: gone };
                let job = unit.job.failed(reason, Time::now());
                unit.turn_into(&self.files, job)?;
                return Ok(None);
            }
            let (service, index) = way;
            let destination = self.services[service].destinations.get(index).cloned();
            let taken = destination
                .as_ref()
                .and_then(|name| unit.job.delivered.get(name));
            let results = results.into_iter().map(|path| {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                (self.secret.digest([name.as_bytes()]), path)
            });
            let left =
                results.filter(|(digest, _)| taken.is_none_or(|taken| !taken.contains(digest)));
            let ticket = SendTicket {
                key: key.clone(),
                results: left.collect(),
                destination,
                way,
            };
            unit.sending.insert(index);
            unit.busy = true;
            Ok(Some(ticket))
        })
    }

    /// Notes that a result is about to be sent to a destination; what that may have under its UID.
    ///
    /// **Errors**: the system cannot write.
    pub fn sends(&self, key: &Key, destination: &str, uid: &str) -> io::Result<Sent> {
        let uid = self.secret.digest([uid.as_bytes()]);
        self.with(key, |unit| {
            let before = unit.job.sent.get(destination);
            let before = before.and_then(|sent| sent.get(&uid));
            let (sent, note) = match before {
                Some(of) if of.is_empty() => return Ok(Sent::Other),
                Some(of) if *of == unit.job.made_of => return Ok(Sent::Before),
                // What it was made of has changed, and the UID has not: from now on nobody knows which one is there.
                Some(_) => (Sent::Other, String::new()),
                None => (Sent::Never, unit.job.made_of.clone()),
            };
            let mut job = unit.job.clone();
            let of_destination = job.sent.entry(destination.to_owned()).or_default();
            of_destination.insert(uid, note);
            unit.turn_into(&self.files, job)?;
            Ok(sent)
        })
    }

    /// Notes that a destination has not taken a result that was never sent there before; `duplicate` where it has
    /// something else under the UID.
    ///
    /// **Errors**: the system cannot write.
    pub fn refused(
        &self,
        key: &Key,
        destination: &str,
        uid: &str,
        duplicate: bool,
    ) -> io::Result<()> {
        let uid = self.secret.digest([uid.as_bytes()]);
        self.with(key, |unit| {
            let mut job = unit.job.clone();
            let sent = job.sent.entry(destination.to_owned()).or_default();
            if duplicate {
                sent.insert(uid, String::new());
            } else {
                sent.remove(&uid);
            }
            unit.turn_into(&self.files, job)
        })
    }

    /// Notes that a destination has taken a result.
    ///
    /// **Errors**: the system cannot write.
    pub fn delivered(&self, key: &Key, destination: &str, result: &str) -> io::Result<()> {
        self.with(key, |unit| {
            let mut job = unit.job.clone();
            let taken = job.delivered.entry(destination.to_owned()).or_default();
            taken.push(result.to_owned());
            unit.turn_into(&self.files, job)
        })
    }

    /// Notes how sending to a destination ended; of a job that is not being sent there, nothing. When it has ended for
    /// every destination, gives the state that the job comes into by that.
    ///
    /// **Errors**: the system cannot write; to be noted again.
    pub fn sent(&self, ticket: &SendTicket, end: &SendEnd) -> io::Result<Option<State>> {
        let (service, index) = ticket.way;
        let destinations = &self.services[service].destinations;
        self.with(&ticket.key, |unit| {
            if !unit.sending.contains(&index) {
                return Ok(None);
            }
            let why = match end {
                SendEnd::Done => None,
                SendEnd::Retry(why) => Some(*why),
                SendEnd::Interrupted => {
                    unit.end_sending(index);
                    return Ok(None);
                }
            };
            let mut tried = unit.tried.clone();
            tried.insert(index, why);
            if !unit.is_to_be_sent() || tried.len() < ways(destinations) {
                unit.tried = tried;
                unit.end_sending(index);
                return Ok(None);
            }
            let named = |(index, why): (usize, Option<Undelivered>)| {
                Some((destinations.get(index)?.clone(), why?))
            };
            let failures: BTreeMap<_, _> = tried.into_iter().filter_map(named).collect();
            let now = Time::now();
            unit.turn_into(&self.files, self.after_sending(&unit.job, failures, now))?;
            // From here on it has ended, and must not end again.
            unit.tried.clear();
            unit.end_sending(index);
            let cleared = self.tidy_unit(unit, now);
            unit.tidied(&ticket.key, &cleared);
            Ok(Some(unit.job.state))
        })
    }

    /// The note of a job that every destination was tried for; these have not taken everything.
    fn after_sending(&self, job: &Job, failures: BTreeMap<String, Undelivered>, now: Time) -> Job {
        let retry = &self.retry;
        if failures.is_empty() {
            return job.into_state(State::Done, now);
        }
        // No try soon makes an archive give up what it has.
        let hopeless = failures.values().all(|why| *why == Undelivered::Duplicate);
        let next = now.after(retry.undelivered_pause);
        let job = if job.state == State::Undelivered {
            job.again(next)
        } else if hopeless || job.attempts + 1 >= retry.send_attempts {
            Job {
                not_before: next,
                ..job.into_state(State::Undelivered, now)
            }
        } else {
            let pause = pause(retry.send_pause, job.attempts, retry.send_pause_max);
            job.again(now.after(pause))
        };
        Job {
            undelivered: failures,
            ..job
        }
    }

    /// Lets go of a job whose sending ended in a way that was not noted: it is sent again, but for what was taken.
    pub fn send_lost(&self, ticket: &SendTicket) {
        self.units().update(&ticket.key, |unit| {
            let (_, index) = ticket.way;
            if unit.sending.contains(&index) {
                unit.end_sending(index);
                unit.pause = Time::now().after(AGAIN);
            }
        });
    }
}

/// Ways to send a job on; where there is no destination, one that leads nowhere, at whose end the job is done.
pub(super) fn ways(destinations: &[String]) -> usize {
    destinations.len().max(1)
}

impl Unit {
    fn end_sending(&mut self, index: usize) {
        self.sending.remove(&index);
        self.busy = !self.sending.is_empty();
    }
}
