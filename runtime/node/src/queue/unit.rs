//! A job in memory, and where it stands in the queue's indexes.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::{Duration, Instant};

use crate::clock::Time;
use crate::config::{Keep, Retention, Service};
use crate::log;
use crate::queue::count::Counted;
use crate::queue::deliver::ways;
use crate::queue::files::Files;
use crate::queue::folder::{Folder, Instances};
use crate::queue::job::Copy;
use crate::queue::{Job, Key, State, Undone};
use crate::reason::Undelivered;

/// Pause behind a job that cannot be begun, or of which something could not be removed: others have their turn meanwhile.
pub const AGAIN: Duration = Duration::from_secs(30);

/// A job in memory.
#[derive(Debug)]
pub struct Unit {
    pub folder: Folder,
    pub job: Job,
    /// Which of the services; `None` where the settings no longer name it.
    pub service: Option<usize>,
    pub arrived: Instances,
    /// What `input` holds, while associations ask for it.
    pub input: Option<Instances>,
    /// Number of the next instance.
    pub number: u64,
    /// Open associations that have sent into it.
    pub open: usize,
    /// Who sent the first of what has arrived.
    pub first: Option<String>,
    /// When the last instance of that one came, or the node began.
    pub last: Instant,
    /// When the first and the last instance of others came since.
    pub others: Option<(Instant, Instant)>,
    /// Why instances of it may be missing, where that has not been made good.
    pub undone: BTreeSet<Undone>,
    /// Number of the first instance that came in place of another one that had not been taken in yet.
    pub replaced: Option<u64>,
    /// What a source said of it.
    pub counted: Option<Counted>,
    /// Whether it is being predicted or sent.
    pub busy: bool,
    /// Which destinations of its service it is being sent to.
    pub sending: BTreeSet<usize>,
    /// Which were tried since it is due to be sent, and why they have not taken everything; noted when all were.
    pub tried: BTreeMap<usize, Option<Undelivered>>,
    /// When it may be predicted or sent at the earliest, where it could not be begun; noted nowhere.
    pub pause: Time,
    /// Whether its state is still to be noted.
    pub unnoted: bool,
    /// Whether files besides what is noted may be there.
    pub has_files: bool,
    /// When to try again to remove what could not be removed.
    pub tidy_again: Option<Time>,
}

/// Where a job stands in the indexes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub service: String,
    pub state: State,
    pub changed: Time,
    pub doubt: bool,
    /// Whether instances wait to be taken in.
    pub arrives: bool,
    /// Whether the settings have no service for it.
    pub orphan: bool,
    /// When it is complete, if nothing more comes.
    pub settle: Option<Instant>,
    /// Whose turn it takes to be predicted, and when it may be.
    pub run: Option<(Turn, Time)>,
    /// Where it is to be sent, and when.
    pub send: Vec<(Way, Time)>,
    /// Where it is being sent.
    pub sending: Vec<Way>,
    /// When there is something to remove.
    pub tidy: Option<Time>,
}

/// Jobs of one caller for one service: they take turns with those of others.
pub type Turn = (usize, String);

/// A service, and which of its destinations.
pub type Way = (usize, usize);

impl Unit {
    pub fn new(folder: Folder, job: Job, service: Option<usize>) -> Self {
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

    /// Notes a new state: first on disk, then here.
    pub fn turn_into(&mut self, files: &Files, job: Job) -> io::Result<()> {
        self.folder.note(files, &job)?;
        self.take_on(job);
        self.unnoted = false;
        Ok(())
    }

    /// Takes on a new state whether or not it can be noted now: the next node would make the same of what is noted.
    pub fn turn_into_at_once(&mut self, key: &Key, files: &Files, job: Job) {
        if let Err(reason) = self.turn_into(files, job.clone()) {
            log::error(format_args!("job {key}: cannot be noted yet: {reason}"));
            self.take_on(job);
            self.unnoted = true;
        }
    }

    fn take_on(&mut self, job: Job) {
        if job.state != self.job.state {
            self.tried.clear();
        }
        self.job = job;
    }

    /// Whether its results are to be sent.
    pub fn is_to_be_sent(&self) -> bool {
        matches!(self.job.state, State::Sending | State::Undelivered)
    }

    /// What `input` holds.
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

    pub fn place(&self, services: &[Service], retention: &Retention) -> Place {
        let job = &self.job;
        let service = self.service.filter(|_| !self.busy);
        let is = |states: &[State]| states.contains(&job.state);
        let run = service.filter(|_| is(&[State::Queued]) && self.arrived.is_empty());
        let sent = self.service.filter(|_| self.is_to_be_sent());
        let all = sent.map_or(0, |index| ways(&services[index].destinations));
        let left =
            (0..all).filter(|way| !self.tried.contains_key(way) && !self.sending.contains(way));
        let due = job.not_before.max(self.pause);
        Place {
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
                .flat_map(|index| left.clone().map(move |way| ((index, way), due)))
                .collect(),
            sending: self
                .service
                .into_iter()
                .flat_map(|index| self.sending.iter().map(move |way| (index, *way)))
                .collect(),
            tidy: self.tidies(retention),
        }
    }

    /// When it is complete: nothing came for a while, and whoever sends has ended or holds it back for too long. Who
    /// did not send the first instance can prolong that by `hold` in all.
    fn settles(&self, service: &Service) -> Option<Instant> {
        let waits = self.job.state == State::Collecting || !self.arrived.is_empty();
        if !waits || self.job.state == State::Running {
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

    /// When something of it is no longer kept.
    fn tidies(&self, retention: &Retention) -> Option<Time> {
        let (job, after) = (&self.job, |pause| self.job.changed.after(pause));
        if self.unnoted && !self.busy {
            return Some(self.again(Time::default()));
        }
        if !self.arrived.is_empty() || self.busy {
            // What it has is about to be needed.
            return None;
        }
        let files = match job.state {
            State::Done if retention.keep == Keep::None => job.changed,
            State::Done => after(retention.kept),
            State::Failed => after(retention.failed),
            State::Undelivered => return Some(self.again(after(retention.undelivered))),
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

/// A number behind those of instances.
fn next(instances: &Instances) -> u64 {
    let numbers = instances.values().map(|copy: &Copy| copy.number);
    numbers.max().map_or(0, |number| number + 1)
}
