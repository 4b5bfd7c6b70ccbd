//! A job in memory, and its keys in the indexes of the queue.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::{Duration, Instant};

use crate::clock::Time;
use crate::config::{Keep, Retention, Service};
use crate::log;
use crate::queue::digest::JobKey;
use crate::queue::durable_files::DurableFiles;
use crate::queue::instance::StoredInstance;
use crate::queue::job::{IncompleteReason, JobRecord, JobState};
use crate::queue::job_folder::{Instances, JobFolder};
use crate::queue::source_count::SourceCount;
use crate::reason::Undelivered;

/// Pause after a job could not be started or tidied, during which others have their turn.
pub const AGAIN: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub struct JobEntry {
    pub folder: JobFolder,
    pub job: JobRecord,
    /// Index of the service; `None` where the settings no longer have it.
    pub service: Option<usize>,
    pub arrived: Instances,
    /// The contents of `input`, cached while associations are open.
    pub input: Option<Instances>,
    /// Number of the next instance.
    pub number: u64,
    /// Open associations that have sent instances of it.
    pub open: usize,
    /// The caller that sent the first instance in `arrived`.
    pub first: Option<String>,
    /// When the last instance of that caller came, or the node started.
    pub last: Instant,
    /// When the first and the last instance of other callers came since.
    pub others: Option<(Instant, Instant)>,
    /// Why instances may be missing, unless resolved.
    pub undone: BTreeSet<IncompleteReason>,
    /// Number of the first instance that replaced another one in `arrived`.
    pub replaced: Option<u64>,
    /// The number of instances that a source stated.
    pub counted: Option<SourceCount>,
    /// Whether it is being predicted or sent.
    pub busy: bool,
    /// Indexes of the destinations that it is being sent to.
    pub sending: BTreeSet<usize>,
    /// Destinations tried since it is due, and why they have not accepted everything; recorded when all were tried.
    pub tried: BTreeMap<usize, Option<Undelivered>>,
    /// Earliest time of the next prediction or sending after it could not be started; not recorded.
    pub pause: Time,
    /// Whether its state is still to be recorded.
    pub unnoted: bool,
    /// Whether its folder may have files beside the record.
    pub has_files: bool,
    /// When to try again to remove its files.
    pub tidy_again: Option<Time>,
}

/// The keys of a job in the indexes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexEntry {
    pub service: String,
    pub state: JobState,
    pub changed: Time,
    pub doubt: bool,
    /// Whether there are instances in `arrived`.
    pub arrives: bool,
    /// Whether the settings no longer have its service.
    pub orphan: bool,
    /// When it is complete unless more instances come.
    pub settle: Option<Instant>,
    /// Its caller's queue, and when it may be predicted.
    pub run: Option<(Turn, Time)>,
    /// The routes that it is to be sent on, and when.
    pub send: Vec<(Route, Time)>,
    /// The routes that it is being sent on.
    pub sending: Vec<Route>,
    /// When files of it are past their retention.
    pub tidy: Option<Time>,
}

/// The queue of a caller at a service: callers take turns.
pub type Turn = (usize, String);

/// Indexes of a service and of its destination.
pub type Route = (usize, usize);

/// Number of routes of a job; one without destinations has a single route that leads nowhere and completes it.
pub fn route_count(destinations: &[String]) -> usize {
    destinations.len().max(1)
}

impl JobEntry {
    pub fn new(folder: JobFolder, job: JobRecord, service: Option<usize>) -> Self {
        Self {
            folder,
            job,
            service,
            arrived: Instances::new(),
            input: None,
            number: 0,
            open: 0,
            first: None,
            last: Instant::now(),
            others: None,
            undone: BTreeSet::new(),
            replaced: None,
            counted: None,
            busy: false,
            sending: BTreeSet::new(),
            tried: BTreeMap::new(),
            pause: Time::default(),
            unnoted: false,
            has_files: true,
            tidy_again: None,
        }
    }

    /// Records a new state: first on disk, then in memory.
    pub fn turn_into(&mut self, files: &DurableFiles, job: JobRecord) -> io::Result<()> {
        self.folder.note(files, &job)?;
        self.take_on(job);
        self.unnoted = false;
        Ok(())
    }

    /// Takes on a new state even if it cannot be recorded now: the next node would derive the same from the record.
    pub fn turn_into_at_once(&mut self, key: &JobKey, files: &DurableFiles, job: JobRecord) {
        if let Err(reason) = self.turn_into(files, job.clone()) {
            log::error(format_args!("job {key}: cannot be noted yet: {reason}"));
            self.take_on(job);
            self.unnoted = true;
        }
    }

    fn take_on(&mut self, job: JobRecord) {
        if job.state != self.job.state {
            self.tried.clear();
        }
        self.job = job;
    }

    /// Whether its results are to be sent.
    pub fn is_to_be_sent(&self) -> bool {
        matches!(self.job.state, JobState::Sending | JobState::Undelivered)
    }

    /// The contents of `input`.
    pub fn input(&mut self) -> io::Result<&Instances> {
        let input = match self.input.take() {
            Some(input) => input,
            None => {
                let input = self.folder.instances(&self.folder.input())?;
                self.number = self.number.max(next(&input)).max(next(&self.arrived));
                input
            }
        };
        Ok(self.input.insert(input))
    }

    /// Whether a source said this of the instances that are here now: nothing has come since.
    pub fn is_current(&self, counted: &SourceCount) -> bool {
        !self.arrived.is_empty() && counted.next == self.number
    }

    /// The number that a source states of the instances that are here now.
    pub fn count(&self) -> Option<SourceCount> {
        self.counted.filter(|counted| self.is_current(counted))
    }

    /// Ends sending to the destination of this index.
    pub fn end_sending(&mut self, index: usize) {
        self.sending.remove(&index);
        self.busy = !self.sending.is_empty();
    }

    pub fn place(&self, services: &[Service], retention: &Retention) -> IndexEntry {
        let job = &self.job;
        let service = self.service.filter(|_| !self.busy);
        let is = |states: &[JobState]| states.contains(&job.state);
        let run = service.filter(|_| is(&[JobState::Queued]) && self.arrived.is_empty());
        let sent = self.service.filter(|_| self.is_to_be_sent());
        let all = sent.map_or(0, |index| route_count(&services[index].destinations));
        let left = (0..all)
            .filter(|route| !self.tried.contains_key(route) && !self.sending.contains(route));
        let due = job.not_before.max(self.pause);
        IndexEntry {
            service: job.service.clone(),
            state: job.state,
            changed: job.changed,
            doubt: job.doubt,
            arrives: !self.arrived.is_empty(),
            orphan: self.service.is_none() && !job.state.is_final(),
            settle: service.and_then(|index| self.settles(&services[index])),
            run: run.map(|index| ((index, job.caller.clone()), due)),
            send: sent
                .into_iter()
                .flat_map(|index| left.clone().map(move |route| ((index, route), due)))
                .collect(),
            sending: self
                .service
                .into_iter()
                .flat_map(|index| self.sending.iter().map(move |route| (index, *route)))
                .collect(),
            tidy: self.tidies(retention),
        }
    }

    /// When it is complete: no instance came for a while, and open associations have held it back for too long. Callers
    /// that did not send the first instance can prolong that by `hold` in all.
    fn settles(&self, service: &Service) -> Option<Instant> {
        let waits = self.job.state == JobState::Collecting || !self.arrived.is_empty();
        if !waits || self.job.state == JobState::Running {
            return None;
        }
        if self.count().is_some_and(|counted| counted.agrees()) {
            return Some(self.last);
        }
        let mut quiet = if self.undone.is_empty() {
            service.quiet
        } else {
            service.cut_quiet
        };
        if self.open > 0 {
            quiet = quiet.max(service.hold);
        }
        let own = self.last + quiet;
        Some(self.others.map_or(own, |(since, last)| {
            own.max((last + quiet).min(since + quiet + service.hold))
        }))
    }

    /// When files or its entry are past their retention.
    fn tidies(&self, retention: &Retention) -> Option<Time> {
        let (job, after) = (&self.job, |pause| self.job.changed.after(pause));
        if self.unnoted && !self.busy {
            return Some(self.again(Time::default()));
        }
        if !self.arrived.is_empty() || self.busy {
            // Its files are about to be needed.
            return None;
        }
        let files = match job.state {
            JobState::Done if retention.keep == Keep::None => job.changed,
            JobState::Done => after(retention.kept),
            JobState::Failed => after(retention.failed),
            JobState::Undelivered => return Some(self.again(after(retention.undelivered))),
            _ => return None,
        };
        let entry = after(retention.ledger);
        Some(self.again(if self.has_files {
            files.min(entry)
        } else {
            entry
        }))
    }

    fn again(&self, due: Time) -> Time {
        self.tidy_again.map_or(due, |again| again.max(due))
    }
}

/// A number greater than those of the instances.
fn next(instances: &Instances) -> u64 {
    let numbers = instances.values().map(|copy: &StoredInstance| copy.number);
    numbers.max().map_or(0, |number| number + 1)
}
