//! Takes in what has arrived when nothing more does.

use std::io;
use std::time::Instant;

use crate::clock::Time;
use crate::config::Service;
use crate::log;
use crate::queue::{Key, Queue, State, Unit};

impl Queue {
    /// Makes jobs of what is complete. To be called now and then.
    pub fn settle(&self) {
        let keys: Vec<Key> = {
            let units = self.units();
            let due = units.iter().filter(|(_, unit)| self.is_due(unit));
            due.map(|(key, _)| key.clone()).collect()
        };
        for key in keys {
            let mut units = self.units();
            let Some(unit) = units.get_mut(&key).filter(|unit| self.is_due(unit)) else {
                continue;
            };
            match self.settle_unit(&key, unit) {
                Ok(Settled::Empty) => {
                    units.remove(&key);
                }
                Ok(Settled::Rest) => {}
                Err(reason) => {
                    log::error(format_args!("job {key}: cannot be taken in: {reason}"));
                    // Tried again after another quiet period.
                    unit.last = Instant::now();
                }
            }
        }
    }

    fn is_due(&self, unit: &Unit) -> bool {
        let Some(service) = unit.service.map(|index| &self.services[index]) else {
            return false;
        };
        let waits = unit.job.state == State::Collecting || !unit.arrived.is_empty();
        let at_rest = !unit.busy && unit.job.state != State::Running;
        waits && at_rest && (unit.count_agrees() || is_quiet(unit, service))
    }

    fn settle_unit(&self, key: &Key, unit: &mut Unit) -> io::Result<Settled> {
        let (files, now) = (&self.files, Time::now());
        let settings = unit.service.map_or("", |index| &self.settings[index]);
        let mut all = unit.folder.instances(&unit.folder.input())?;
        all.extend(unit.arrived.clone());
        if all.is_empty() {
            // An instance was announced, and then could not be kept.
            files.remove_folder(&unit.folder.0)?;
            return Ok(Settled::Empty);
        }
        let known = unit.folder.known()?;
        if let Some(known) = &known
            && matches!(
                unit.job.state,
                State::Sending | State::Undelivered | State::Done
            )
            && unit.job.settings == settings
            && all
                .iter()
                .all(|(uid, content)| known.get(uid) == Some(content))
        {
            files.remove_folder(&unit.folder.arrived())?;
            unit.arrived.clear();
            log::info(format_args!(
                "job {key}: was sent again unchanged, and stays {}",
                unit.job.state.word()
            ));
            return Ok(Settled::Rest);
        }
        if unit.job.state != State::Collecting {
            // From here on, `input` is no longer what the state speaks of.
            let job = unit.job.into_state(State::Collecting, now);
            unit.turn_into(files, job)?;
        }
        unit.folder.merge(files)?;
        unit.arrived.clear();
        let lacking = known.map_or(0, |known| {
            known.keys().filter(|uid| !all.contains_key(*uid)).count()
        });
        let mut job = if lacking == 0 {
            unit.job.into_state(State::Queued, now)
        } else {
            let mut job = unit.job.into_state(State::Failed, now);
            job.reason = Some(format!(
                "instances came after it was done, and {lacking} of the earlier ones are no longer kept: send all again"
            ));
            job
        }
        .without_results();
        job.instances = all.len();
        job.interrupted = 0;
        let was_cut = unit.cut.take().is_some();
        job.expected = unit.counted.take().map(|counted| counted.expected);
        job.doubt = match job.expected {
            Some(expected) if expected >= all.len() => expected > all.len(),
            _ => was_cut,
        };
        unit.turn_into(files, job)?;
        unit.folder.remove_runs(files, None)?;
        match &unit.job.reason {
            None if unit.job.lacks() => log::warning(format_args!(
                "job {key}: nothing more comes for its {} instances, of which its source has {}",
                all.len(),
                unit.job.expected.unwrap_or_default()
            )),
            None if unit.job.doubt => log::warning(format_args!(
                "job {key}: nothing more comes for its {} instances, though an association broke off, instances were refused or the node was down",
                all.len()
            )),
            None => log::info(format_args!(
                "job {key}: complete with {} instances",
                all.len()
            )),
            Some(reason) => log::warning(format_args!("job {key}: failed: {reason}")),
        }
        Ok(Settled::Rest)
    }
}

enum Settled {
    /// There was nothing, and the job is gone.
    Empty,
    /// It rests in a state.
    Rest,
}

fn is_quiet(unit: &Unit, service: &Service) -> bool {
    let quiet = if unit.cut.is_some() {
        service.cut_quiet
    } else {
        service.quiet
    };
    let since = unit.last.elapsed();
    since >= quiet && (unit.open == 0 || since >= service.hold)
}
