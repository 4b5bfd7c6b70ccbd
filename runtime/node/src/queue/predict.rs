//! Jobs that are predicted.

use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::clock::Time;
use crate::config::Doubtful;
use crate::log;
use crate::queue::folder::{Instances, Known};
use crate::queue::unit::{AGAIN, Unit};
use crate::queue::units::Units;
use crate::queue::{Job, Key, Queue, State};
use crate::reason::Reason;

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
    /// Whether the results are to say that instances may be missing.
    pub mark_incomplete: bool,
}

/// How a prediction ended.
#[derive(Debug, Clone, PartialEq)]
pub enum RunEnd {
    /// The results are there.
    Done,
    /// It cannot be predicted, at least not by this node.
    Failed(Reason),
    /// It may be predicted another time.
    Retry(Reason),
    /// The node stops.
    Interrupted,
}

impl Queue {
    /// Takes the job whose turn it is to be predicted, and a folder for its results.
    ///
    /// Callers take turns; of the jobs of one, the one that has waited longest is taken.
    ///
    /// **Errors**: the system cannot make the folder or note it. The job is then left alone for a while.
    pub fn take_run(&self) -> io::Result<Option<RunTicket>> {
        let now = Time::now();
        let mut units = self.units();
        let Some(key) = units.next_run(now) else {
            return Ok(None);
        };
        begin(&mut units, &key, |unit| {
            let Some(service) = unit.service else {
                return Ok(None);
            };
            let input = unit.folder.instances(&unit.folder.input())?;
            if let Some(reason) = gone(&unit.job, &input) {
                log::error(format_args!("job {key}: failed: {reason}"));
                let job = unit.job.failed(reason, now);
                unit.turn_into(&self.files, job)?;
                return Ok(None);
            }
            let output = tempfile::Builder::new()
                .prefix("run-")
                .tempdir_in(&unit.folder.0)?;
            let mut job = unit.job.clone();
            job.state = State::Running;
            job.changed = now;
            job.settings.clone_from(&self.settings[service]);
            let doubtful = self.services[service].doubtful;
            let ticket = RunTicket {
                key: key.clone(),
                service,
                input: unit.folder.input(),
                mark_incomplete: job.doubt && doubtful == Doubtful::Mark,
                output: output.path().to_owned(),
            };
            unit.turn_into(&self.files, job)?;
            unit.busy = true;
            unit.others = None;
            let _ = output.keep();
            Ok(Some(ticket))
        })
    }

    /// Notes how a prediction ended; of one that does not run, nothing.
    ///
    /// **Errors**: the system cannot read or write; the job is then still noted as running, and to be noted again.
    pub fn ran(&self, ticket: &RunTicket, end: &RunEnd) -> io::Result<State> {
        self.with(&ticket.key, |unit| {
            if !unit.busy || unit.job.state != State::Running {
                return Ok(unit.job.state);
            }
            let now = Time::now();
            let job = match end {
                RunEnd::Done if !unit.arrived.is_empty() => unit
                    .job
                    .into_state(State::Collecting, now)
                    .without_results(),
                RunEnd::Done => self.with_results(unit, ticket, now)?,
                RunEnd::Interrupted => unit.job.into_state(State::Queued, now),
                RunEnd::Retry(reason) if unit.job.attempts + 1 < self.retry.run_attempts => {
                    let pause = pause(self.retry.run_pause, unit.job.attempts, Duration::MAX);
                    Job {
                        state: State::Queued,
                        reason: Some(reason.clone()),
                        ..unit.job.again(now.after(pause))
                    }
                }
                RunEnd::Failed(reason) | RunEnd::Retry(reason) => Job {
                    again_at_start: reason.passes_with_a_start(),
                    ..unit.job.failed(reason.clone(), now)
                },
            };
            unit.turn_into(&self.files, job)?;
            unit.busy = false;
            // From here on it has ended, and must not end again.
            let output = unit.job.output.as_deref();
            let cleared = unit.folder.remove_runs(&self.files, output);
            let cleared = cleared.and_then(|()| self.tidy_unit(unit, now));
            unit.tidied(&ticket.key, &cleared);
            Ok(unit.job.state)
        })
    }

    /// The note of a job that has its results, or lacks what it should have.
    fn with_results(&self, unit: &Unit, ticket: &RunTicket, now: Time) -> io::Result<Job> {
        let destinations = &self.services[ticket.service].destinations;
        let results = unit.folder.results(&ticket.folder())?;
        if results.is_empty() && !destinations.is_empty() {
            return Ok(unit.job.failed(Reason::NoResults, now));
        }
        for result in &results {
            // The program has flushed its files; their names may not be on the disk yet.
            fs::File::open(result)?.sync_all()?;
        }
        self.files.sync_folder(&ticket.output)?;
        let instances = unit.folder.instances(&unit.folder.input())?;
        if let Some(reason) = gone(&unit.job, &instances) {
            return Ok(unit.job.failed(reason, now));
        }
        let contents = instances.into_iter();
        let known: Known = contents.map(|(uid, copy)| (uid, copy.content)).collect();
        unit.folder.remember(&self.files, &known)?;
        let state = if destinations.is_empty() {
            State::Done
        } else {
            State::Sending
        };
        let mut job = unit.job.into_state(state, now).without_results();
        job.output = Some(ticket.folder());
        job.results = results.len();
        job.sent.retain(|name, _| destinations.contains(name));
        job.made_of = self.made_of(&known, &job.settings, ticket.mark_incomplete);
        Ok(job)
    }

    /// Digest of what results are made of: whatever has the same is the same but for times.
    fn made_of(&self, known: &Known, settings: &str, mark_incomplete: bool) -> String {
        let instances = known.iter().flat_map(|(uid, content)| [uid, content]);
        let mark: &[u8] = if mark_incomplete { b"incomplete" } else { b"" };
        let parts = instances.map(|text| text.as_bytes());
        self.secret.digest(parts.chain([settings.as_bytes(), mark]))
    }

    /// Lets go of a job whose prediction ended in a way that was not noted: it waits for another one.
    pub fn run_lost(&self, ticket: &RunTicket) {
        self.units().update(&ticket.key, |unit| {
            if unit.busy && unit.job.state == State::Running {
                let job = unit.job.into_state(State::Queued, Time::now());
                unit.turn_into_at_once(&ticket.key, &self.files, job);
                unit.busy = false;
                unit.pause = Time::now().after(AGAIN);
            }
        });
    }

    pub(super) fn with<T>(
        &self,
        key: &Key,
        act: impl FnOnce(&mut Unit) -> io::Result<T>,
    ) -> io::Result<T> {
        let acted = self.units().update(key, act);
        acted.unwrap_or_else(|| Err(io::Error::other(format!("job {key} is gone"))))
    }
}

/// Begins a job; one that cannot be begun, because of its folder as a rule, is left alone for a while.
pub(super) fn begin<T>(
    units: &mut Units,
    key: &Key,
    act: impl FnOnce(&mut Unit) -> io::Result<Option<T>>,
) -> io::Result<Option<T>> {
    let begun = units.update(key, |unit| {
        let begun = act(unit);
        if begun.is_err() {
            unit.pause = Time::now().after(AGAIN);
        }
        begun
    });
    let named = |reason: io::Error| io::Error::new(reason.kind(), format!("job {key}: {reason}"));
    begun.unwrap_or(Ok(None)).map_err(named)
}

/// Why a job cannot be predicted with the images that are left of it.
fn gone(job: &Job, input: &Instances) -> Option<Reason> {
    let images = job
        .instances
        .checked_sub(input.len())
        .filter(|gone| *gone > 0)?;
    Some(Reason::ImagesGone { images })
}

impl RunTicket {
    /// Name of the folder of results within the job's.
    fn folder(&self) -> String {
        let name = self.output.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }
}

/// A pause that doubles with every failed try, give or take a quarter, so that jobs do not all come back at once.
pub(super) fn pause(first: Duration, failed: u32, longest: Duration) -> Duration {
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
