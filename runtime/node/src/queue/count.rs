//! What is known elsewhere of how many instances a job has to have.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::Grouping;
use crate::queue::unit::Unit;
use crate::queue::{Key, Queue};

/// A job that takes in instances.
#[derive(Debug, Clone)]
pub struct Unsettled {
    /// Its name.
    pub key: Key,
    /// What makes it one.
    pub unit: Grouping,
    /// Instances that wait to be taken in.
    pub arrived: usize,
    /// How long nothing has come.
    pub rest: Duration,
}

/// What is here of a job.
#[derive(Debug, Clone)]
pub struct Held {
    /// Instances, those included that it was made of before; once some of them are being replaced, only those that
    /// came since.
    pub instances: usize,
    /// Number of the next instance.
    pub next: u64,
    /// The file of an instance that waits to be taken in.
    pub sample: PathBuf,
}

/// What a source said of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// Instances that it has.
    pub expected: usize,
    /// Instances that were here then, as in [`Held`].
    pub instances: usize,
    /// Number of the next instance then: what was said holds until that one comes.
    pub next: u64,
}

impl Queue {
    /// The jobs that take in instances and are not being predicted or sent: a copy, for to ask about one takes seconds.
    pub fn unsettled(&self) -> Vec<Unsettled> {
        let units = self.units();
        let unsettled = units.arriving().filter_map(|(key, unit)| {
            let service = &self.services[unit.service?];
            (!unit.busy).then(|| Unsettled {
                key: key.clone(),
                unit: service.unit,
                arrived: unit.arrived.len(),
                rest: unit.last.elapsed(),
            })
        });
        unsettled.collect()
    }

    /// What is here of a job; `None` where nothing waits to be taken in.
    ///
    /// **Errors**: the system cannot read its folder.
    pub fn held(&self, key: &Key) -> io::Result<Option<Held>> {
        let (folder, arrived, next, replaced) = match self.units().get(key) {
            Some(unit) => (
                unit.folder.clone(),
                unit.arrived.clone(),
                unit.number,
                unit.replaced,
            ),
            None => return Ok(None),
        };
        let Some((uid, copy)) = arrived.first_key_value() else {
            return Ok(None);
        };
        let sample = folder.arrived().join(copy.file(uid));
        // Without the lock: nobody waits for the disk.
        let before = folder.instances(&folder.input())?;
        let is_again = before.keys().any(|uid| arrived.contains_key(uid));
        // The others may be about to be replaced as well: they do not make it whole.
        let instances = if is_again || replaced.is_some() {
            let since = replaced.unwrap_or_default();
            arrived.values().filter(|copy| copy.number >= since).count()
        } else {
            arrived.len() + before.len()
        };
        Ok(Some(Held {
            instances,
            next,
            sample,
        }))
    }

    /// Notes what a source said of a job. Where that is what is here, the job is complete, unless more comes. What was
    /// said of a job that has changed since says nothing of it.
    pub fn note_count(&self, key: &Key, counted: Counted) {
        self.units().update(key, |unit| {
            unit.counted = Some(counted).filter(|counted| counted.is_of(unit));
        });
    }
}

impl Counted {
    fn is_of(&self, unit: &Unit) -> bool {
        !unit.arrived.is_empty() && self.next == unit.number
    }

    /// Whether that is what was here.
    pub(super) fn agrees(&self) -> bool {
        self.expected == self.instances
    }
}

impl Unit {
    /// What a source said of what is here now.
    pub(super) fn count(&self) -> Option<Counted> {
        self.counted.filter(|counted| counted.is_of(self))
    }
}
