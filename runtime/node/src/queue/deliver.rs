//! Jobs whose results are being sent.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use crate::clock::Time;
use crate::log;
use crate::queue::digest::JobKey;
use crate::queue::job::{JobRecord, JobState};
use crate::queue::job_entry::{AGAIN, Route, route_count};
use crate::queue::job_queue::JobQueue;
use crate::queue::pause::pause;
use crate::reason::{Reason, Undelivered};

/// A job whose results are to be sent to a destination.
#[derive(Debug)]
pub struct SendTicket {
    pub key: JobKey,
    /// Name of the destination; `None` where the service no longer has it.
    pub destination: Option<String>,
    /// Files of results that it has not accepted yet, by digest of their names.
    pub results: BTreeMap<String, PathBuf>,
    /// Indexes of the service and of its destination.
    route: Route,
}

/// The outcome of sending to a destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendOutcome {
    /// It has accepted everything.
    Done,
    /// It has not accepted everything.
    Retry(Undelivered),
    Interrupted,
}

/// Possible objects at a destination with the UID of a result before it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PriorSend {
    /// Nothing of this node.
    Never,
    /// Another object: of this node from other input, or of another program.
    Other,
    /// The same result, which was sent before; the answer may have been lost.
    Before,
}

impl JobQueue {
    /// Takes the job that has waited longest to be sent to a destination. Every destination of a service has its
    /// own queue: one that does not answer delays no other.
    ///
    /// **Errors**: the system cannot list its results. The job is then paused for a while.
    pub fn take_send(&self) -> io::Result<Option<SendTicket>> {
        let mut jobs = self.lock_jobs();
        let Some((route, key)) = jobs.next_send(Time::now()) else {
            return Ok(None);
        };
        jobs.begin(&key, |entry| {
            let Some(output) = &entry.job.output else {
                return Ok(None);
            };
            let results = entry.folder.results(output)?;
            if results.len() < entry.job.results {
                let gone = entry.job.results - results.len();
                log::error(format_args!("job {key}: {gone} of its results are gone"));
                let reason = Reason::ResultsGone { results: gone };
                let job = entry.job.failed(reason, Time::now());
                entry.turn_into(&self.files, job)?;
                return Ok(None);
            }
            let (service, index) = route;
            let destination = self.services[service].destinations.get(index).cloned();
            let taken = destination
                .as_ref()
                .and_then(|name| entry.job.delivered.get(name));
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
                route,
            };
            entry.sending.insert(index);
            entry.busy = true;
            Ok(Some(ticket))
        })
    }

    /// Records that a result is about to be sent to a destination; returns what that may have with its UID.
    ///
    /// **Errors**: the system cannot write.
    pub fn sends(&self, key: &JobKey, destination: &str, uid: &str) -> io::Result<PriorSend> {
        let uid = self.secret.digest([uid.as_bytes()]);
        self.with(key, |entry| {
            let before = entry.job.sent.get(destination);
            let before = before.and_then(|sent| sent.get(&uid));
            let (sent, note) = match before {
                Some(of) if of.is_empty() => return Ok(PriorSend::Other),
                Some(of) if *of == entry.job.made_of => return Ok(PriorSend::Before),
                // The content has changed under the same UID: from now on it is unknown which one the destination has.
                Some(_) => (PriorSend::Other, String::new()),
                None => (PriorSend::Never, entry.job.made_of.clone()),
            };
            let mut job = entry.job.clone();
            let of_destination = job.sent.entry(destination.to_owned()).or_default();
            of_destination.insert(uid, note);
            entry.turn_into(&self.files, job)?;
            Ok(sent)
        })
    }

    /// Records that a destination has not accepted a result that was never sent there before; `duplicate` where it has
    /// something else with the UID.
    ///
    /// **Errors**: the system cannot write.
    pub fn refused(
        &self,
        key: &JobKey,
        destination: &str,
        uid: &str,
        duplicate: bool,
    ) -> io::Result<()> {
        let uid = self.secret.digest([uid.as_bytes()]);
        self.with(key, |entry| {
            let mut job = entry.job.clone();
            let sent = job.sent.entry(destination.to_owned()).or_default();
            if duplicate {
                sent.insert(uid, String::new());
            } else {
                sent.remove(&uid);
            }
            entry.turn_into(&self.files, job)
        })
    }

    /// Records that a destination has accepted a result.
    ///
    /// **Errors**: the system cannot write.
    pub fn delivered(&self, key: &JobKey, destination: &str, result: &str) -> io::Result<()> {
        self.with(key, |entry| {
            let mut job = entry.job.clone();
            let taken = job.delivered.entry(destination.to_owned()).or_default();
            taken.push(result.to_owned());
            entry.turn_into(&self.files, job)
        })
    }

    /// Records the outcome of sending to a destination, unless the job is not being sent there. When all
    /// destinations have an outcome, returns the new state of the job.
    ///
    /// **Errors**: the system cannot write; the call is to be repeated.
    pub fn sent(&self, ticket: &SendTicket, end: &SendOutcome) -> io::Result<Option<JobState>> {
        let (service, index) = ticket.route;
        let destinations = &self.services[service].destinations;
        self.with(&ticket.key, |entry| {
            if !entry.sending.contains(&index) {
                return Ok(None);
            }
            let why = match end {
                SendOutcome::Done => None,
                SendOutcome::Retry(why) => Some(*why),
                SendOutcome::Interrupted => {
                    entry.end_sending(index);
                    return Ok(None);
                }
            };
            let mut tried = entry.tried.clone();
            tried.insert(index, why);
            if !entry.is_to_be_sent() || tried.len() < route_count(destinations) {
                entry.tried = tried;
                entry.end_sending(index);
                return Ok(None);
            }
            let named = |(index, why): (usize, Option<Undelivered>)| {
                Some((destinations.get(index)?.clone(), why?))
            };
            let failures: BTreeMap<_, _> = tried.into_iter().filter_map(named).collect();
            let now = Time::now();
            entry.turn_into(&self.files, self.after_sending(&entry.job, failures, now))?;
            // The outcome is recorded, and must not be recorded again.
            entry.tried.clear();
            entry.end_sending(index);
            let cleared = self.tidy_entry(entry, now);
            entry.tidied(&ticket.key, &cleared);
            Ok(Some(entry.job.state))
        })
    }

    /// The record of a job after all destinations were tried; `failures` are those that have not accepted everything.
    fn after_sending(
        &self,
        job: &JobRecord,
        failures: BTreeMap<String, Undelivered>,
        now: Time,
    ) -> JobRecord {
        let retry = &self.retry;
        if failures.is_empty() {
            return job.into_state(JobState::Done, now);
        }
        // Soon trying again does not make an archive replace its object.
        let hopeless = failures.values().all(|why| *why == Undelivered::Duplicate);
        let next = now.after(retry.undelivered_pause);
        let job = if job.state == JobState::Undelivered {
            job.again(next)
        } else if hopeless || job.attempts + 1 >= retry.send_attempts {
            JobRecord {
                not_before: next,
                ..job.into_state(JobState::Undelivered, now)
            }
        } else {
            let pause = pause(retry.send_pause, job.attempts, retry.send_pause_max);
            job.again(now.after(pause))
        };
        JobRecord {
            undelivered: failures,
            ..job
        }
    }

    /// Releases a job whose outcome of sending was not recorded: what was not accepted is sent again.
    pub fn send_lost(&self, ticket: &SendTicket) {
        self.lock_jobs().update(&ticket.key, |entry| {
            let (_, index) = ticket.route;
            if entry.sending.contains(&index) {
                entry.end_sending(index);
                entry.pause = Time::now().after(AGAIN);
            }
        });
    }
}
