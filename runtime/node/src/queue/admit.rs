//! Instances on their way into jobs.

use std::collections::HashSet;
use std::io;
use std::path::Path;
use std::time::Instant;

use crate::clock::Time;
use crate::log;
use crate::queue::job::Copy;
use crate::queue::unit::Unit;
use crate::queue::{Arrival, Folder, Job, Key, Queue, State, Undone};

/// What became of an instance that was put into the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admitted {
    /// It waits for its job.
    New,
    /// It is there already.
    Known,
}

/// Why an instance is not put into the queue.
#[derive(Debug, thiserror::Error)]
pub enum NotAdmitted {
    /// The system cannot move the file or write; it is then still where it was.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// There are as many jobs on their way as may be.
    #[error("there are {limit} jobs on their way, which is the limit")]
    Jobs {
        /// Jobs that there may be.
        limit: usize,
    },
    /// Another caller has sent the instance with another content.
    #[error("another caller has sent an instance of its UID with another content")]
    Conflict,
}

impl Queue {
    /// The job of a service that an instance with these UIDs belongs to.
    pub fn key(&self, service: usize, study: &str, series: &str) -> Key {
        self.secret.key(&self.services[service], study, series)
    }

    /// An instance with this UID and this digest of its data set that `caller` sends.
    pub fn arrival(&self, uid: &str, content: &[u8], caller: &str) -> Arrival {
        let digest = |bytes: &[u8]| self.secret.digest([bytes]);
        Arrival::new(
            digest(uid.as_bytes()),
            digest(content),
            &digest(caller.as_bytes()),
        )
    }

    /// Puts an instance into its job. When this returns, it stays whatever happens.
    ///
    /// `touched` are the jobs that the association has sent into; they are held back until [`Queue::leave`]. As long
    /// as a job is on its way, an instance of it is replaced by who sent it and nobody else.
    ///
    /// **Errors**: [`NotAdmitted`].
    pub fn admit(
        &self,
        service: usize,
        key: &Key,
        arrival: &Arrival,
        file: &Path,
        caller: &str,
        touched: &mut HashSet<Key>,
    ) -> Result<Admitted, NotAdmitted> {
        let (folder, admitted) = {
            let mut units = self.units();
            let waits = |unit: &Unit| !unit.job.state.is_final() || !unit.arrived.is_empty();
            let full = (units.unfinished() >= self.jobs_max).then_some(self.jobs_max);
            if units.get(key).is_none() {
                if let Some(limit) = full {
                    return Err(NotAdmitted::Jobs { limit });
                }
                if self.blocked.contains(key) {
                    let reason = "its job could not be taken over from the last node";
                    return Err(io::Error::other(reason).into());
                }
                units.insert(key.clone(), self.begin(service, key, caller)?);
            }
            let taken = units.update(key, |unit| {
                let full = full.filter(|_| !waits(unit));
                let taken = self.take(unit, arrival, file, caller, touched.contains(key), full);
                if unit.open == 0 {
                    unit.input = None;
                }
                taken
            });
            let (folder, admitted, touches) =
                taken.unwrap_or_else(|| Err(io::Error::other("a job is gone").into()))?;
            if touches {
                touched.insert(key.clone());
            }
            (folder, admitted)
        };
        // Without the lock: others need not wait for the disk. So are copies: what is there already may have come a
        // moment ago, and its name not be on the disk. The folder may have been merged meanwhile, which syncs.
        match self.files.sync_folder(&folder) {
            Err(reason) if reason.kind() == io::ErrorKind::NotFound => Ok(admitted),
            synced => Ok(synced.map(|()| admitted)?),
        }
    }

    /// Moves an instance into its job: where its name is to be brought to the disk, and whether the association holds
    /// the job back from now on. With `full`, a job that has ended is not begun anew.
    fn take(
        &self,
        unit: &mut Unit,
        arrival: &Arrival,
        file: &Path,
        caller: &str,
        is_touched: bool,
        full: Option<usize>,
    ) -> Result<(std::path::PathBuf, Admitted, bool), NotAdmitted> {
        let (arrived, input) = (unit.folder.arrived(), unit.folder.input());
        // What was predicted in vain or in doubt is taken again, all of it.
        let again = unit.job.state == State::Failed || unit.job.doubt;
        let is_final = unit.job.state.is_final();
        let in_input = unit.input()?.get(&arrival.uid).cloned();
        let here = match unit.arrived.get(&arrival.uid) {
            Some(copy) => Some((copy.clone(), &arrived)),
            None => in_input.map(|copy| (copy, &input)),
        };
        let is_own = |copy: &Copy| copy.owner == arrival.owner;
        if let Some((copy, at)) = &here {
            let waits = *at == &arrived;
            if copy.content == arrival.content && (waits || !again) {
                let own = is_own(copy);
                if own && unit.first.as_deref().is_none_or(|first| first == caller) {
                    unit.last = Instant::now();
                }
                let touches = own && !is_touched;
                unit.open += usize::from(touches);
                return Ok(((*at).clone(), Admitted::Known, own));
            }
            if copy.content != arrival.content && !is_own(copy) && (waits || !is_final) {
                return Err(NotAdmitted::Conflict);
            }
        }
        if let Some(limit) = full {
            return Err(NotAdmitted::Jobs { limit });
        }
        self.files.create_folder(&arrived)?;
        let copy = Copy {
            content: arrival.content.clone(),
            owner: arrival.owner.clone(),
            number: unit.number,
        };
        self.files
            .rename(file, &arrived.join(copy.file(&arrival.uid)))?;
        unit.number += 1;
        unit.has_files = true;
        let before = Some(&unit.job.caller).filter(|before| !is_final && !before.is_empty());
        let first = || before.map_or_else(|| caller.to_owned(), String::clone);
        let now = Instant::now();
        if unit.first.get_or_insert_with(first) == caller {
            unit.last = now;
            unit.others = None;
        } else {
            let since = unit.others.map_or(now, |(since, _)| since);
            unit.others = Some((since, now));
        }
        unit.open += usize::from(!is_touched);
        if let Some(replaced) = unit.arrived.insert(arrival.uid.clone(), copy) {
            unit.replaced.get_or_insert(unit.number - 1);
            // Of two the one with the larger number counts, and the other goes when they are taken in.
            let replaced = arrived.join(replaced.file(&arrival.uid));
            if let Err(reason) = self.files.remove_file(&replaced) {
                log::warning(format_args!(
                    "an instance that was replaced cannot be removed: {reason}"
                ));
            }
        }
        Ok((arrived, Admitted::New, true))
    }

    fn begin(&self, service: usize, key: &Key, caller: &str) -> io::Result<Unit> {
        let folder = Folder(self.storage.join("jobs").join(&key.0));
        let is_damaged = self.damaged.contains(key);
        let job = Job {
            caller: caller.to_owned(),
            undone: is_damaged.then_some(Undone::Damage).into_iter().collect(),
            ..Job::new(&self.services[service].ae_title, Time::now())
        };
        self.files.create_folder(&folder.0)?;
        folder.note(&self.files, &job)?;
        log::info(format_args!("job {key}: begins for {}", job.service));
        let mut unit = Unit::new(folder, job, Some(service));
        unit.undone.clone_from(&unit.job.undone);
        Ok(unit)
    }

    /// Ends the hold of an association with a service over the jobs that it has sent into; `whole` says whether it ended
    /// as agreed, and everything was taken. What one caller left undone, another does not make good.
    ///
    /// Nobody knows which job an instance belongs to that never came or was refused: an association that is not whole
    /// leaves every job of the service undone that has instances of its caller and still takes some in, until one of
    /// that caller with the service is whole.
    pub fn leave(&self, service: usize, touched: &HashSet<Key>, caller: &str, whole: bool) {
        let mut units = self.units();
        for key in touched {
            units.update(key, |unit| {
                unit.open = unit.open.saturating_sub(1);
                if unit.open == 0 {
                    unit.input = None;
                }
                self.mark(key, unit, caller, whole);
            });
        }
        let elsewhere = Undone::Elsewhere(caller.to_owned());
        let owner = self.arrival("", &[], caller).owner;
        let changes = |unit: &Unit| {
            let is_marked = unit.undone.contains(&elsewhere);
            let mut copies = unit.arrived.values();
            unit.service == Some(service)
                && is_marked == whole
                && (whole || copies.any(|copy| copy.owner == owner))
        };
        let further = units.arriving().filter(|(_, unit)| changes(unit));
        let further: Vec<Key> = further.map(|(key, _)| key.clone()).collect();
        // Not noted: to the next node every job is undone that takes instances in.
        for key in further {
            units.update(&key, |unit| {
                if whole {
                    unit.undone.remove(&elsewhere);
                } else {
                    unit.undone.insert(elsewhere.clone());
                }
            });
        }
    }

    /// Notes whether what a caller has sent into a job may lack something.
    fn mark(&self, key: &Key, unit: &mut Unit, caller: &str, whole: bool) {
        let before = unit.undone.clone();
        if whole {
            unit.undone.retain(|undone| match undone {
                Undone::Restart => false,
                Undone::Damage => true,
                Undone::Caller(of) | Undone::Elsewhere(of) => of != caller,
            });
        } else {
            unit.undone.insert(Undone::Caller(caller.to_owned()));
        }
        // The next node is to know as well.
        if unit.undone != before && unit.undone != unit.job.undone {
            let mut job = unit.job.clone();
            job.undone.clone_from(&unit.undone);
            if let Err(reason) = unit.turn_into(&self.files, job) {
                log::error(format_args!("job {key}: cannot be noted: {reason}"));
            }
        }
    }
}
