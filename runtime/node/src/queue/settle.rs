//! Completes jobs when no more instances come.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::Instant;

use crate::clock::Time;
use crate::config::Doubtful;
use crate::log;
use crate::queue::digest::JobKey;
use crate::queue::instance::StoredInstance;
use crate::queue::job::{IncompleteReason, JobRecord, JobState};
use crate::queue::job_entry::JobEntry;
use crate::queue::job_folder::Instances;
use crate::queue::job_queue::JobQueue;
use crate::reason::Reason;

impl JobQueue {
    /// Completes jobs that are due. To be called periodically.
    pub fn settle(&self) {
        let keys = self.lock_jobs().complete(Instant::now());
        for key in keys {
            // Locked for each job, so that others have their turn in between.
            let mut jobs = self.lock_jobs();
            if !jobs.is_complete(&key, Instant::now()) {
                continue;
            }
            let settled = jobs.update(&key, |entry| {
                let settled = self.settle_entry(&key, entry);
                if let Err(reason) = &settled {
                    log::error(format_args!("job {key}: cannot be taken in: {reason}"));
                    // Tried again after another quiet period.
                    entry.last = Instant::now();
                }
                settled
            });
            if matches!(settled, Some(Ok(Settled::Empty))) {
                jobs.remove(&key);
            }
        }
    }

    fn settle_entry(&self, key: &JobKey, entry: &mut JobEntry) -> io::Result<Settled> {
        let (files, now) = (&self.files, Time::now());
        self.remove_replaced(entry)?;
        let mut all = entry.folder.instances(&entry.folder.input())?;
        all.extend(entry.arrived.clone());
        if all.is_empty() {
            // An instance was announced, but could not be stored.
            files.remove_folder(&entry.folder.0)?;
            return Ok(Settled::Empty);
        }
        let known = entry.folder.known()?;
        let counted = entry.count();
        let doubt = match counted {
            Some(counted) if counted.agrees() => false,
            Some(counted) if counted.expected > all.len() => true,
            // More instances than a source states may come from several sources, and decide nothing; neither do earlier
            // instances beside replaced ones.
            _ => !entry.undone.is_empty(),
        };
        let expected = counted.map(|counted| counted.expected);
        if let Some(known) = &known
            && self.stays(entry, &all, known, doubt)
        {
            files.remove_folder(&entry.folder.arrived())?;
            rest(entry);
            log::info(format_args!(
                "job {key}: sent again unchanged, stays {}",
                entry.job.state.word()
            ));
            return Ok(Settled::Rest);
        }
        if entry.job.state != JobState::Collecting {
            // From here on, `input` changes, and no longer belongs to the state.
            let job = entry.job.into_state(JobState::Collecting, now);
            entry.turn_into(files, job)?;
        }
        entry.folder.merge(files)?;
        let lacking = known.map_or(0, |known| {
            known.keys().filter(|uid| !all.contains_key(*uid)).count()
        });
        // For a failed job, only the number of instances is known.
        let lacking = lacking.max(entry.job.instances.saturating_sub(all.len()));
        let doubtful = entry.service.map(|index| self.services[index].doubtful);
        let mut instances = all.len();
        let failure = if lacking > 0 {
            // Later instances are compared with all of them again.
            instances = instances.max(entry.job.instances);
            let instances = lacking;
            Some(Reason::Lacking { instances })
        } else if doubt && doubtful == Some(Doubtful::Fail) {
            Some(Reason::Doubtful { instances })
        } else {
            None
        };
        let job = match failure {
            None => entry
                .job
                .into_state(JobState::Queued, now)
                .without_results(),
            Some(reason) => entry.job.failed(reason, now),
        };
        // Reported once; if all instances come again, the job is complete.
        let mut undone = entry.undone.clone();
        undone.remove(&IncompleteReason::Damage);
        entry.turn_into(
            files,
            JobRecord {
                instances,
                caller: entry.first.clone().unwrap_or_else(|| job.caller.clone()),
                interrupted: 0,
                doubt,
                expected,
                undone: undone.clone(),
                ..job
            },
        )?;
        entry.undone = undone;
        rest(entry);
        let cleared = entry.folder.remove_runs(files, None);
        entry.tidied(key, &cleared);
        tell(key, &entry.job);
        Ok(Settled::Rest)
    }

    /// Whether a job that was sent again keeps its results: it is unchanged, and no doubt about it is resolved now.
    fn stays(
        &self,
        entry: &JobEntry,
        all: &Instances,
        known: &BTreeMap<String, String>,
        doubt: bool,
    ) -> bool {
        let settings = entry.service.map_or("", |index| &self.settings[index]);
        let has_results = matches!(
            entry.job.state,
            JobState::Sending | JobState::Undelivered | JobState::Done
        );
        has_results
            && entry.job.settings == settings
            && (doubt || !entry.job.doubt)
            && all
                .iter()
                .all(|(uid, copy)| known.get(uid) == Some(&copy.content))
    }

    /// Another caller may send other contents of a finished job, but not mix them with those of the caller whose
    /// instances they replace: all of that caller's instances are removed, and have to be sent again if they are to
    /// count.
    fn remove_replaced(&self, entry: &mut JobEntry) -> io::Result<()> {
        if !entry.job.state.is_final() {
            return Ok(());
        }
        let input = entry.folder.instances(&entry.folder.input())?;
        let is_replaced = |uid: &String, other: &StoredInstance| {
            entry
                .arrived
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
        // Those that identify the owners are removed last, so that an interrupted removal is resumed.
        let (last, first): (Vec<_>, Vec<_>) =
            of_owners.partition(|(uid, copy)| is_replaced(uid, copy));
        entry.input = None;
        let folder = entry.folder.input();
        for part in [first, last] {
            for (uid, copy) in part {
                self.files.remove_file(&folder.join(copy.file(uid)))?;
            }
            self.files.sync_folder(&folder)?;
        }
        Ok(())
    }
}

/// Clears what describes instances in `arrived`.
fn rest(entry: &mut JobEntry) {
    entry.arrived.clear();
    entry.input = None;
    entry.first = None;
    entry.replaced = None;
    entry.counted = None;
}

fn tell(key: &JobKey, job: &JobRecord) {
    let (instances, doubt) = (job.instances, job.doubt);
    match &job.reason {
        None if job.lacks() => log::warning(format_args!(
            "job {key}: complete after the quiet period with {instances} instances, of {} at its source",
            job.expected.unwrap_or_default()
        )),
        None if doubt => log::warning(format_args!(
            "job {key}: complete after the quiet period with {instances} instances, but an association broke off, instances were refused, the node was down or earlier ones cannot be read"
        )),
        None => log::info(format_args!(
            "job {key}: complete with {instances} instances"
        )),
        Some(reason) => log::warning(format_args!("job {key}: failed: {reason}")),
    }
}

enum Settled {
    /// There were no instances, and the job is removed.
    Empty,
    /// It has a state and waits for nothing.
    Rest,
}
