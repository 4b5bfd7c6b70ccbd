//! Removes what is no longer kept.

use std::io;

use crate::clock::Time;
use crate::config::Keep;
use crate::log;
use crate::queue::unit::{AGAIN, Unit};
use crate::queue::{Key, Queue, State};
use crate::reason::Reason;

/// Jobs that have ended and are remembered at most; those that ended first are forgotten.
const ENDED_MAX: usize = 200_000;

impl Queue {
    /// Removes files and entries that are too old. To be called now and then.
    pub fn tidy(&self) {
        let now = Time::now();
        let keys = self.units().untidy(now);
        for key in keys {
            self.tidy_one(&key, |unit| self.tidy_unit(unit, now));
        }
        let surplus = self.units().surplus(ENDED_MAX);
        for key in surplus {
            self.tidy_one(&key, |unit| self.forget(unit));
        }
    }

    /// Removes something of a job; the job itself where `tidy` says that nothing is left.
    fn tidy_one(&self, key: &Key, tidy: impl FnOnce(&mut Unit) -> io::Result<bool>) {
        let mut units = self.units();
        let tidied = units.update(key, |unit| {
            if unit.busy {
                return Ok(false);
            }
            let tidied = tidy(unit);
            unit.tidied(key, &tidied);
            if matches!(tidied, Ok(false)) {
                unit.tidy_again = Some(Time::now().after(AGAIN));
            }
            tidied
        });
        if matches!(tidied, Some(Ok(true))) {
            units.remove(key);
        }
    }

    /// Removes what is too old of a job; whether nothing is left.
    pub(super) fn tidy_unit(&self, unit: &mut Unit, now: Time) -> io::Result<bool> {
        if unit.unnoted {
            unit.turn_into(&self.files, unit.job.clone())?;
        }
        let (age, retention) = (now.since(unit.job.changed), &self.retention);
        if !unit.arrived.is_empty() {
            // What it has is about to be needed.
            return Ok(false);
        }
        let (input, results) = match unit.job.state {
            State::Done => match retention.keep {
                Keep::None => (true, true),
                Keep::Results => (true, age >= retention.kept),
                Keep::All => (age >= retention.kept, age >= retention.kept),
            },
            State::Failed => (age >= retention.failed, age >= retention.failed),
            State::Undelivered if age >= retention.undelivered => {
                let mut job = unit.job.failed(Reason::NotDelivered, now);
                job.undelivered = unit.job.undelivered.clone();
                unit.turn_into(&self.files, job)?;
                (true, true)
            }
            _ => (false, false),
        };
        if unit.has_files {
            if input {
                unit.input = None;
                self.files.remove_folder(&unit.folder.input())?;
            }
            if results {
                unit.folder.remove_runs(&self.files, None)?;
            }
            unit.has_files = !(input && results);
        }
        if age >= retention.ledger {
            return self.forget(unit);
        }
        Ok(false)
    }

    /// Removes a job that has ended; whether nothing is left.
    fn forget(&self, unit: &Unit) -> io::Result<bool> {
        if !unit.job.state.is_final() || unit.open > 0 || !unit.arrived.is_empty() {
            return Ok(false);
        }
        // The note goes last: images without one count as those of a job whose note was lost.
        self.files.remove_folder(&unit.folder.arrived())?;
        self.files.remove_folder(&unit.folder.input())?;
        unit.folder.remove_runs(&self.files, None)?;
        self.files.remove_folder(&unit.folder.0)?;
        Ok(true)
    }
}

impl Unit {
    /// Logs what could not be removed, which is tried again later.
    pub(super) fn tidied<T>(&mut self, key: &Key, tidied: &io::Result<T>) {
        if let Err(reason) = tidied {
            log::error(format_args!(
                "job {key}: what it no longer needs cannot be removed: {reason}"
            ));
            self.tidy_again = Some(Time::now().after(AGAIN));
        }
    }
}
