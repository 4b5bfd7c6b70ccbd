//! Jobs on their way: predicted, then sent.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::clock::Time;

use crate::queue::{Job, Key, Queue, State, Unit, digest};

/// A job that is to be predicted.
#[derive(Debug)]
pub struct RunTicket {
    /// Which.
    pub key: Key,
    /// Which of the services.
    pub service: usize,
    /// Folder of its images.
    pub input: PathBuf,
    /// Empty folder for its results.
    pub output: PathBuf,
}

/// How a prediction ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunEnd {
    /// The results are there.
    Done,
    /// It cannot be predicted, ever.
    Failed(String),
    /// It may be predicted another time.
    Retry(String),
    /// The node stops.
    Interrupted,
}

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
    /// Not yet.
    Retry(String),
    /// The node stops.
    Interrupted,
}

impl Queue {
    /// Takes the job that has waited longest for its prediction, and a folder for its results.
    ///
    /// **Errors**: the system cannot make the folder or note it.
    pub fn take_run(&self) -> io::Result<Option<RunTicket>> {
        let now = Time::now();
        let mut units = self.units();
        let waiting = units.iter_mut().filter(|(_, unit)| {
            // With new arrivals it is about to be another job.
            unit.is_ready(State::Queued, now) && unit.arrived.is_empty()
        });
        let Some((key, unit)) = waiting.min_by_key(|(_, unit)| unit.job.changed) else {
            return Ok(None);
        };
        let Some(service) = unit.service else {
            return Ok(None);
        };
        let output = tempfile::Builder::new()
            .prefix("run-")
            .tempdir_in(&unit.folder.0)?;
        let mut job = unit.job.clone();
        job.state = State::Running;
        job.changed = now;
        job.settings.clone_from(&self.settings[service]);
        unit.turn_into(&self.files, job)?;
        unit.busy = true;
        Ok(Some(RunTicket {
            key: key.clone(),
            service,
            input: unit.folder.input(),
            output: output.keep(),
        }))
    }

    /// Notes how a prediction ended.
    ///
    /// **Errors**: the system cannot read or write; the job is then still noted as running, and to be noted again.
    pub fn ran(&self, ticket: &RunTicket, end: &RunEnd) -> io::Result<State> {
        self.with(&ticket.key, |unit| {
            let now = Time::now();
            let job = match end {
                RunEnd::Done if !unit.arrived.is_empty() => unit
                    .job
                    .into_state(State::Collecting, now)
                    .without_results(),
                RunEnd::Done => self.with_results(unit, ticket, now)?,
                RunEnd::Failed(reason) => failed(&unit.job, reason, now),
                RunEnd::Interrupted => unit.job.into_state(State::Queued, now),
                RunEnd::Retry(reason) if unit.job.attempts + 1 >= self.retry.run_attempts => {
                    let mut job = failed(&unit.job, reason, now);
                    job.again_at_start = true;
                    job
                }
                RunEnd::Retry(reason) => {
                    let pause = pause(self.retry.run_pause, unit.job.attempts, Duration::MAX);
                    unit.job.again(State::Queued, reason, now.after(pause))
                }
            };
            unit.turn_into(&self.files, job)?;
            unit.busy = false;
            unit.folder
                .remove_runs(&self.files, unit.job.output.as_deref())?;
            self.tidy_unit(unit, now)?;
            Ok(unit.job.state)
        })
    }

    /// The note of a job that has its results, or lacks what it should have.
    fn with_results(&self, unit: &Unit, ticket: &RunTicket, now: Time) -> io::Result<Job> {
        let destinations = &self.services[ticket.service].destinations;
        let results = unit.folder.results(&ticket.folder())?;
        if results.is_empty() && !destinations.is_empty() {
            return Ok(failed(
                &unit.job,
                "its prediction made no DICOM file to send",
                now,
            ));
        }
        for result in &results {
            // The program has flushed its files; their names may not be on the disk yet.
            fs::File::open(result)?.sync_all()?;
        }
        self.files.sync_folder(&ticket.output)?;
        let instances = unit.folder.instances(&unit.folder.input())?;
        unit.folder.remember(&self.files, &instances)?;
        let state = if destinations.is_empty() {
            State::Done
        } else {
            State::Sending
        };
        let mut job = unit.job.into_state(state, now).without_results();
        job.output = Some(ticket.folder());
        job.results = results.len();
        Ok(job)
    }

    /// Takes the job that has waited longest for being sent.
    ///
    /// **Errors**: the system cannot list its results.
    pub fn take_send(&self) -> io::Result<Option<SendTicket>> {
        let now = Time::now();
        let mut units = self.units();
        // A destination that does not answer holds up no other service.
        let sends = |unit: &Unit| matches!(unit.job.state, State::Sending | State::Undelivered);
        let busy: HashSet<usize> = units
            .values()
            .filter(|unit| unit.busy && sends(unit))
            .filter_map(|unit| unit.service)
            .collect();
        let waiting = units.iter_mut().filter(|(_, unit)| {
            let is_free = unit.service.is_none_or(|service| !busy.contains(&service));
            is_free
                && (unit.is_ready(State::Sending, now) || unit.is_ready(State::Undelivered, now))
        });
        let Some((key, unit)) =
            waiting.min_by_key(|(_, unit)| (unit.job.not_before, unit.job.changed))
        else {
            return Ok(None);
        };
        let (Some(service), Some(output)) = (unit.service, &unit.job.output) else {
            return Ok(None);
        };
        let results = unit.folder.results(output)?.into_iter().map(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            (digest([name.as_bytes()]), path)
        });
        let ticket = SendTicket {
            key: key.clone(),
            service,
            results: results.collect(),
            delivered: unit.job.delivered.clone(),
        };
        unit.busy = true;
        Ok(Some(ticket))
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

    /// Notes how sending ended.
    ///
    /// **Errors**: the system cannot write; to be noted again.
    pub fn sent(&self, key: &Key, end: &SendEnd) -> io::Result<State> {
        self.with(key, |unit| {
            let (now, retry) = (Time::now(), &self.retry);
            let job = match end {
                SendEnd::Done => unit.job.into_state(State::Done, now),
                SendEnd::Interrupted => unit.job.clone(),
                SendEnd::Retry(reason) if unit.job.state == State::Undelivered => {
                    let next = now.after(retry.undelivered_pause);
                    unit.job.again(State::Undelivered, reason, next)
                }
                SendEnd::Retry(reason) if unit.job.attempts + 1 >= retry.send_attempts => {
                    let mut job = unit.job.into_state(State::Undelivered, now);
                    job.not_before = now.after(retry.undelivered_pause);
                    job.reason = Some(reason.clone());
                    job
                }
                SendEnd::Retry(reason) => {
                    let pause = pause(retry.send_pause, unit.job.attempts, retry.send_pause_max);
                    unit.job.again(State::Sending, reason, now.after(pause))
                }
            };
            unit.turn_into(&self.files, job)?;
            unit.busy = false;
            self.tidy_unit(unit, now)?;
            Ok(unit.job.state)
        })
    }

    fn with<T>(&self, key: &Key, act: impl FnOnce(&mut Unit) -> io::Result<T>) -> io::Result<T> {
        match self.units().get_mut(key) {
            Some(unit) => act(unit),
            None => Err(io::Error::other(format!("job {key} is gone"))),
        }
    }
}

impl RunTicket {
    /// Name of the folder of results within the job's.
    fn folder(&self) -> String {
        let name = self.output.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }
}

impl Unit {
    fn is_ready(&self, state: State, now: Time) -> bool {
        self.job.state == state
            && !self.busy
            && self.service.is_some()
            && self.job.not_before <= now
    }
}

fn failed(job: &Job, reason: &str, now: Time) -> Job {
    let mut job = job.into_state(State::Failed, now).without_results();
    job.reason = Some(reason.to_owned());
    job
}

/// A pause that doubles with every failed try, give or take a quarter, so that jobs do not all come back at once.
fn pause(first: Duration, failed: u32, longest: Duration) -> Duration {
    let doubled = first.saturating_mul(2_u32.saturating_pow(failed.min(20)));
    let random = RandomState::new().build_hasher().finish() % 512;
    let pause = doubled.min(longest).min(Duration::from_secs(86_400));
    pause.mul_f64(0.75 + random as f64 / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let (first, longest) = (Duration::from_secs(10), Duration::from_secs(60));
        for (failed, expected) in [(0, 10.0), (1, 20.0), (2, 40.0), (3, 60.0), (4000, 60.0)] {
            let seconds = pause(first, failed, longest).as_secs_f64();
            assert!(
                (0.75 * expected..=1.25 * expected).contains(&seconds),
                "{failed}: {seconds}"
            );
        }
        assert!(pause(Duration::MAX, 9, Duration::MAX) < Duration::from_secs(200_000));
    }
}
