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
    /// Instances, those included that it was made of before.
    pub instances: usize,
    /// Instances that wait to be taken in.
    pub arrived: usize,
    /// The file of one of these.
    pub sample: PathBuf,
}

/// What a source said of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// Instances that it has.
    pub expected: usize,
    /// Instances that were here then.
    pub instances: usize,
    /// Instances that waited to be taken in then.
    pub arrived: usize,
}

impl Queue {
    /// The jobs that take in instances.
    pub fn unsettled(&self) -> Vec<Unsettled> {
        let units = self.units();
        let unsettled = units.unsettled().filter_map(|(key, unit)| {
            let service = &self.services[unit.service?];
            (!unit.arrived.is_empty()).then(|| Unsettled {
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
        let (folder, arrived) = match self.units().get(key) {
            Some(unit) => (unit.folder.clone(), unit.arrived.clone()),
            None => return Ok(None),
        };
        let Some((uid, copy)) = arrived.first_key_value() else {
            return Ok(None);
        };
        let sample = folder.arrived().join(copy.file(uid));
        // Without the lock: nobody waits for the disk.
        let before = folder.instances(&folder.input())?;
        let further = before.keys().filter(|uid| !arrived.contains_key(*uid));
        Ok(Some(Held {
            instances: arrived.len() + further.count(),
            arrived: arrived.len(),
            sample,
        }))
    }

    /// Notes what a source said of a job. Where that is what is here, the job is complete, unless more comes.
    pub fn note_count(&self, key: &Key, counted: Counted) {
        self.units()
            .update(key, |unit| unit.counted = Some(counted));
    }
}

impl Unit {
    /// Whether a source has what is here.
    pub(super) fn count_agrees(&self) -> bool {
        self.counted.is_some_and(|counted| {
            counted.expected == counted.instances && counted.arrived == self.arrived.len()
        })
    }
}
