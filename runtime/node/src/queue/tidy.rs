//! Removes what is no longer kept.

use std::io;

use crate::clock::Time;
use crate::config::Keep;
use crate::log;
use crate::queue::{Key, Queue, State, Unit};

impl Queue {
    /// Removes files and entries that are too old. To be called now and then.
    pub fn tidy(&self) {
        let now = Time::now();
        let keys: Vec<Key> = self.units().keys().cloned().collect();
        for key in keys {
            let mut units = self.units();
            let Some(unit) = units.get_mut(&key).filter(|unit| !unit.busy) else {
                continue;
            };
            match self.tidy_unit(unit, now) {
                Ok(true) => {
                    units.remove(&key);
                }
                Ok(false) => {}
                Err(reason) => log::error(format_args!(
                    "job {key}: what it no longer needs cannot be removed: {reason}"
                )),
            }
        }
    }

    /// Removes what is too old of a job; whether nothing is left.
    pub(super) fn tidy_unit(&self, unit: &mut Unit, now: Time) -> io::Result<bool> {
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
                let mut job = unit.job.into_state(State::Failed, now).without_results();
                job.reason = unit.job.reason.clone();
                unit.turn_into(&self.files, job)?;
                (true, true)
            }
            _ => (false, false),
        };
        if unit.has_files {
            if input {
                self.files.remove_folder(&unit.folder.input())?;
            }
            if results {
                unit.folder.remove_runs(&self.files, None)?;
            }
            unit.has_files = !(input && results);
        }
        if unit.job.state.is_final() && age >= retention.ledger && unit.open == 0 {
            self.files.remove_folder(&unit.folder.0)?;
            return Ok(true);
        }
        Ok(false)
    }
}
