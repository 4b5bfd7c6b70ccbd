//! Takes in what has arrived when nothing more does.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::Instant;

use crate::clock::Time;
use crate::config::Doubtful;
use crate::log;
use crate::queue::folder::Instances;
use crate::queue::job::Copy;
use crate::queue::unit::Unit;
use crate::queue::{Job, Key, Queue, State, Undone};
use crate::reason::Reason;

impl Queue {
    /// Makes jobs of what is complete. To be called now and then.
    pub fn settle(&self) {
        let keys = self.units().complete(Instant::now());
        for key in keys {
            // Others may have their turn in between.
            let mut units = self.units();
            if !units.is_complete(&key, Instant::now()) {
                continue;
            }
            let settled = units.update(&key, |unit| {
                let settled = self.settle_unit(&key, unit);
                if let Err(reason) = &settled {
                    log::error(format_args!("job {key}: cannot be taken in: {reason}"));
                    // Tried again after another quiet period.
                    unit.last = Instant::now();
                }
                settled
            });
            if matches!(settled, Some(Ok(Settled::Empty))) {
                units.remove(&key);
            }
        }
    }

    fn settle_unit(&self, key: &Key, unit: &mut Unit) -> io::Result<Settled> {
        let (files, now) = (&self.files, Time::now());
        self.remove_replaced(unit)?;
        let mut all = unit.folder.instances(&unit.folder.input())?;
        all.extend(unit.arrived.clone());
        if all.is_empty() {
            // An instance was announced, and then could not be kept.
            files.remove_folder(&unit.folder.0)?;
            return Ok(Settled::Empty);
        }
        let known = unit.folder.known()?;
        let counted = unit.count();
        let doubt = match counted {
            Some(counted) if counted.agrees() => false,
            Some(counted) if counted.expected > all.len() => true,
            // More than a source has may come from several, and says nothing; nor does it where earlier instances
            // stand beside those that replace others.
            _ => !unit.undone.is_empty(),
        };
        let expected = counted.map(|counted| counted.expected);
        if let Some(known) = &known
            && self.stays(unit, &all, known, doubt)
        {
            files.remove_folder(&unit.folder.arrived())?;
            rest(unit);
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
        let lacking = known.map_or(0, |known| {
            known.keys().filter(|uid| !all.contains_key(*uid)).count()
        });
        // Of what did not succeed, nothing is known but how many there were.
        let lacking = lacking.max(unit.job.instances.saturating_sub(all.len()));
        let doubtful = unit.service.map(|index| self.services[index].doubtful);
        let mut instances = all.len();
        let failure = if lacking > 0 {
            // What comes next is held against all of them again.
            instances = instances.max(unit.job.instances);
            let instances = lacking;
            Some(Reason::Lacking { instances })
        } else if doubt && doubtful == Some(Doubtful::Fail) {
            Some(Reason::Doubtful { instances })
        } else {
            None
        };
        let job = match failure {
            None => unit.job.into_state(State::Queued, now).without_results(),
            Some(reason) => unit.job.failed(reason, now),
        };
        // Told once; when all of them come again, they are all there is.
        let mut undone = unit.undone.clone();
        undone.remove(&Undone::Damage);
        unit.turn_into(
            files,
            Job {
                instances,
                caller: unit.first.clone().unwrap_or_else(|| job.caller.clone()),
                interrupted: 0,
                doubt,
                expected,
                undone: undone.clone(),
                ..job
            },
        )?;
        unit.undone = undone;
        rest(unit);
        let cleared = unit.folder.remove_runs(files, None);
        unit.tidied(key, &cleared);
        tell(key, &unit.job);
        Ok(Settled::Rest)
    }

    /// Whether a job stays as it is though it was sent again: unchanged, and in no doubt that is removed now.
    fn stays(
        &self,
        unit: &Unit,
        all: &Instances,
        known: &BTreeMap<String, String>,
        doubt: bool,
    ) -> bool {
        let settings = unit.service.map_or("", |index| &self.settings[index]);
        let has_results = matches!(
            unit.job.state,
            State::Sending | State::Undelivered | State::Done
        );
        has_results
            && unit.job.settings == settings
            && (doubt || !unit.job.doubt)
            && all
                .iter()
                .all(|(uid, copy)| known.get(uid) == Some(&copy.content))
    }

    /// Of a job that has ended, another caller may send other contents, but not mix them with those of the caller whose
    /// instances they replace: all of that one's go, and have to be sent again as well if they are to count.
    fn remove_replaced(&self, unit: &mut Unit) -> io::Result<()> {
        if !unit.job.state.is_final() {
            return Ok(());
        }
        let input = unit.folder.instances(&unit.folder.input())?;
        let is_replaced = |uid: &String, other: &Copy| {
            unit.arrived
                .get(uid)
                .is_some_and(|copy| other.content != copy.content && other.owner != copy.owner)
        };
        let replaced = input.iter().filter(|(uid, copy)| is_replaced(uid, copy));
        let owners: BTreeSet<&String> = replaced.map(|(_, copy)| &copy.owner).collect();
        if owners.is_empty() {
            return Ok(());
        }
        let of_owners = input
            .iter()
            .filter(|(_, copy)| owners.contains(&copy.owner));
        // Those that tell whose others go are the last: what is cut short goes on the next time.
        let (last, first): (Vec<_>, Vec<_>) =
            of_owners.partition(|(uid, copy)| is_replaced(uid, copy));
        unit.input = None;
        let folder = unit.folder.input();
        for part in [first, last] {
            for (uid, copy) in part {
                self.files.remove_file(&folder.join(copy.file(uid)))?;
            }
            self.files.sync_folder(&folder)?;
        }
        Ok(())
    }
}

/// Nothing waits any more.
fn rest(unit: &mut Unit) {
    unit.arrived.clear();
    unit.input = None;
    unit.first = None;
    unit.replaced = None;
    unit.counted = None;
}

fn tell(key: &Key, job: &Job) {
    let (instances, doubt) = (job.instances, job.doubt);
    match &job.reason {
        None if job.lacks() => log::warning(format_args!(
            "job {key}: nothing more comes for its {instances} instances, of which its source has {}",
            job.expected.unwrap_or_default()
        )),
        None if doubt => log::warning(format_args!(
            "job {key}: nothing more comes for its {instances} instances, though an association broke off, instances were refused, the node was down or earlier ones cannot be read"
        )),
        None => log::info(format_args!(
            "job {key}: complete with {instances} instances"
        )),
        Some(reason) => log::warning(format_args!("job {key}: failed: {reason}")),
    }
}

enum Settled {
    /// There was nothing, and the job is gone.
    Empty,
    /// It rests in a state.
    Rest,
}
