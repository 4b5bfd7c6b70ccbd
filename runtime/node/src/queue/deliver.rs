//! Jobs whose results are sent.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use crate::clock::Time;
use crate::log;
use crate::queue::predict::{AGAIN, begin, pause};
use crate::queue::unit::Unit;
use crate::queue::{Job, Key, Queue, State};
use crate::reason::{Reason, Undelivered};

/// A job whose results are to be sent.
#[derive(Debug)]
pub struct SendTicket {
    /// Which.
    pub key: Key,
    /// Which of the services.
    pub service: usize,
    /// Files of results, by digest of their names.
    pub results: BTreeMap<String, PathBuf>,
    /// Digests of those that a destination has taken.
    pub delivered: BTreeMap<String, Vec<String>>,
}

/// How sending ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendEnd {
    /// Every destination has taken everything.
    Done,
    /// These have not.
    Retry(BTreeMap<String, Undelivered>),
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
    /// Takes the job that has waited longest for being sent.
    ///
    /// **Errors**: the system cannot list its results. The job is then left alone for a while.
    pub fn take_send(&self) -> io::Result<Option<SendTicket>> {
        let mut units = self.units();
        let Some(key) = units.next_send(Time::now()) else {
            return Ok(None);
        };
        begin(&mut units, &key, |unit| {
            let (Some(service), Some(output)) = (unit.service, &unit.job.output) else {
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
            let results = results.into_iter().map(|path| {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                (self.secret.digest([name.as_bytes()]), path)
            });
            let ticket = SendTicket {
                key: key.clone(),
                service,
                results: results.collect(),
                delivered: unit.job.delivered.clone(),
            };
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

    /// Notes how sending ended; of a job that is not being sent, nothing.
    ///
    /// **Errors**: the system cannot write; to be noted again.
    pub fn sent(&self, key: &Key, end: &SendEnd) -> io::Result<State> {
        self.with(key, |unit| {
            if !unit.is_being_sent() {
                return Ok(unit.job.state);
            }
            let (now, retry, job) = (Time::now(), &self.retry, &unit.job);
            let job = match end {
                SendEnd::Done => job.into_state(State::Done, now),
                SendEnd::Interrupted => job.clone(),
                SendEnd::Retry(failures) => {
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
                        undelivered: failures.clone(),
                        ..job
                    }
                }
            };
            unit.turn_into(&self.files, job)?;
            unit.busy = false;
            // From here on it has ended, and must not end again.
            let cleared = self.tidy_unit(unit, now);
            unit.tidied(key, &cleared);
            Ok(unit.job.state)
        })
    }

    /// Lets go of a job whose sending ended in a way that was not noted: it is sent again, but for what was taken.
    pub fn send_lost(&self, key: &Key) {
        self.units().update(key, |unit| {
            if unit.is_being_sent() {
                unit.busy = false;
                unit.pause = Time::now().after(AGAIN);
            }
        });
    }
}

impl Unit {
    fn is_being_sent(&self) -> bool {
        self.busy && matches!(self.job.state, State::Sending | State::Undelivered)
    }
}
