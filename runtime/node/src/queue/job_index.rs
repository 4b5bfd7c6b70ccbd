//! The jobs in memory, with indexes of what is due, so that no search visits all of them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::time::Instant;

use crate::clock::Time;
use crate::config::{Retention, Service};
use crate::queue::digest::JobKey;
use crate::queue::job::JobState;
use crate::queue::job_entry::{AGAIN, IndexEntry, JobEntry, Route, Turn};

/// The jobs by key, with indexes.
#[derive(Debug)]
pub struct JobIndex {
    services: Vec<Service>,
    retention: Retention,
    all: HashMap<JobKey, (JobEntry, IndexEntry)>,
    settle: BTreeSet<(Instant, JobKey)>,
    tidy: BTreeSet<(Time, JobKey)>,
    /// Jobs by the time when they may be predicted.
    later: BTreeSet<(Time, JobKey)>,
    ready: Turns,
    /// For each route, the jobs to be sent, by due time.
    send: BTreeMap<Route, BTreeSet<(Time, Time, JobKey)>>,
    /// For each route, the number of jobs that are being sent.
    sending: BTreeMap<Route, usize>,
    /// Unfinished jobs, and finished ones, by the time of their last change of state.
    on_their_way: BTreeSet<(Time, JobKey)>,
    ended: BTreeSet<(Time, JobKey)>,
    /// Jobs with instances in `arrived`, and how many of these had finished before.
    arriving: BTreeSet<JobKey>,
    arriving_again: usize,
    ended_of: BTreeMap<String, BTreeSet<(Time, JobKey)>>,
    /// Jobs that wait for a prediction or to be sent.
    waiting: BTreeSet<(Time, JobKey)>,
    counts: BTreeMap<String, [usize; JobState::ALL.len()]>,
    orphans: usize,
    doubtful: usize,
}

/// Jobs that may be predicted; callers take turns, so that many jobs of one delay no other.
#[derive(Debug, Default)]
struct Turns {
    jobs: BTreeMap<Turn, (u64, BTreeSet<(Time, JobKey)>)>,
    order: BTreeSet<(u64, Turn)>,
    next: u64,
}

impl JobIndex {
    /// An empty index for these services.
    pub fn new(services: &[Service], retention: &Retention) -> Self {
        let counts = services.iter();
        Self {
            services: services.to_vec(),
            retention: retention.clone(),
            all: HashMap::new(),
            settle: BTreeSet::new(),
            tidy: BTreeSet::new(),
            later: BTreeSet::new(),
            ready: Turns::default(),
            send: BTreeMap::new(),
            sending: BTreeMap::new(),
            on_their_way: BTreeSet::new(),
            ended: BTreeSet::new(),
            arriving: BTreeSet::new(),
            arriving_again: 0,
            ended_of: BTreeMap::new(),
            waiting: BTreeSet::new(),
            counts: counts
                .map(|service| (service.ae_title.clone(), [0; JobState::ALL.len()]))
                .collect(),
            orphans: 0,
            doubtful: 0,
        }
    }

    pub fn get(&self, key: &JobKey) -> Option<&JobEntry> {
        self.all.get(key).map(|(entry, _)| entry)
    }

    pub fn insert(&mut self, key: JobKey, entry: JobEntry) {
        self.remove(&key);
        let place = entry.place(&self.services, &self.retention);
        self.index(&key, &place);
        self.all.insert(key, (entry, place));
    }

    pub fn remove(&mut self, key: &JobKey) -> Option<JobEntry> {
        let (entry, place) = self.all.remove(key)?;
        self.unindex(key, &place);
        Some(entry)
    }

    /// Changes a job and its indexes; `None` where it is gone.
    pub fn update<T>(
        &mut self,
        key: &JobKey,
        change: impl FnOnce(&mut JobEntry) -> T,
    ) -> Option<T> {
        let (entry, place) = self.all.get_mut(key)?;
        let changed = change(entry);
        let now = entry.place(&self.services, &self.retention);
        if now != *place {
            let before = std::mem::replace(place, now.clone());
            self.unindex(key, &before);
            self.index(key, &now);
        }
        Some(changed)
    }

    /// Starts work on a job; one that fails, because of its folder as a rule, is paused for a while.
    pub fn begin<T>(
        &mut self,
        key: &JobKey,
        act: impl FnOnce(&mut JobEntry) -> io::Result<Option<T>>,
    ) -> io::Result<Option<T>> {
        let begun = self.update(key, |entry| {
            let begun = act(entry);
            if begun.is_err() {
                entry.pause = Time::now().after(AGAIN);
            }
            begun
        });
        let named =
            |reason: io::Error| io::Error::new(reason.kind(), format!("job {key}: {reason}"));
        begun.unwrap_or(Ok(None)).map_err(named)
    }

    fn index(&mut self, key: &JobKey, place: &IndexEntry) {
        let dated = || (place.changed, key.clone());
        if let Some(due) = place.settle {
            self.settle.insert((due, key.clone()));
        }
        if let Some(due) = place.tidy {
            self.tidy.insert((due, key.clone()));
        }
        if let Some((_, due)) = &place.run {
            self.later.insert((*due, key.clone()));
        }
        for (route, due) in &place.send {
            let jobs = self.send.entry(*route).or_default();
            jobs.insert((*due, place.changed, key.clone()));
        }
        for route in &place.sending {
            *self.sending.entry(*route).or_default() += 1;
        }
        if place.state.is_final() {
            self.ended.insert(dated());
            let of = self.ended_of.entry(place.service.clone()).or_default();
            of.insert(dated());
        } else {
            self.on_their_way.insert(dated());
        }
        if matches!(place.state, JobState::Queued | JobState::Sending) {
            self.waiting.insert(dated());
        }
        self.counts.entry(place.service.clone()).or_default()[place.state.index()] += 1;
        if place.arrives {
            self.arriving.insert(key.clone());
        }
        self.arriving_again += usize::from(place.arrives && place.state.is_final());
        self.orphans += usize::from(place.orphan);
        self.doubtful += usize::from(place.doubt);
    }

    fn unindex(&mut self, key: &JobKey, place: &IndexEntry) {
        let dated = (place.changed, key.clone());
        if let Some(due) = place.settle {
            self.settle.remove(&(due, key.clone()));
        }
        if let Some(due) = place.tidy {
            self.tidy.remove(&(due, key.clone()));
        }
        if let Some((turn, due)) = &place.run
            && !self.later.remove(&(*due, key.clone()))
        {
            self.ready.remove(turn, &dated);
        }
        for (route, due) in &place.send {
            if let Some(jobs) = self.send.get_mut(route) {
                jobs.remove(&(*due, place.changed, key.clone()));
            }
        }
        for route in &place.sending {
            if let Some(count) = self.sending.get_mut(route) {
                *count -= 1;
            }
        }
        self.ended.remove(&dated);
        if let Some(of) = self.ended_of.get_mut(&place.service) {
            of.remove(&dated);
        }
        self.on_their_way.remove(&dated);
        self.waiting.remove(&dated);
        if let Some(counts) = self.counts.get_mut(&place.service) {
            counts[place.state.index()] -= 1;
        }
        self.arriving.remove(key);
        self.arriving_again -= usize::from(place.arrives && place.state.is_final());
        self.orphans -= usize::from(place.orphan);
        self.doubtful -= usize::from(place.doubt);
    }

    /// The jobs that are complete.
    pub fn complete(&self, now: Instant) -> Vec<JobKey> {
        let due = self.settle.iter().take_while(|(due, _)| *due <= now);
        due.map(|(_, key)| key.clone()).collect()
    }

    /// The jobs with instances that wait to be taken in.
    pub fn arriving(&self) -> impl Iterator<Item = (&JobKey, &JobEntry)> {
        let keys = self.arriving.iter();
        keys.filter_map(|key| Some((key, self.get(key)?)))
    }

    /// Whether a job is complete.
    pub fn is_complete(&self, key: &JobKey, now: Instant) -> bool {
        let due = self.all.get(key).and_then(|(_, place)| place.settle);
        due.is_some_and(|due| due <= now)
    }

    /// The jobs with files or entries past their retention.
    pub fn untidy(&self, now: Time) -> Vec<JobKey> {
        let due = self.tidy.iter().take_while(|(due, _)| *due <= now);
        due.map(|(_, key)| key.clone()).collect()
    }

    /// The job to be predicted next: callers take turns; of a caller's jobs, the one that has waited longest.
    pub fn next_run(&mut self, now: Time) -> Option<JobKey> {
        while let Some((due, _)) = self.later.first()
            && *due <= now
            && let Some((_, key)) = self.later.pop_first()
        {
            if let Some((entry, place)) = self.all.get(&key)
                && let Some((turn, _)) = &place.run
            {
                self.ready.insert(turn, (entry.job.changed, key));
            }
        }
        self.ready.next()
    }

    /// The job to be sent next, and its route. Each route sends one job at a time, so that a destination that does not
    /// answer delays no other.
    pub fn next_send(&self, now: Time) -> Option<(Route, JobKey)> {
        let free = self.send.iter().filter(|(route, _)| {
            let sending = self.sending.get(route);
            sending.is_none_or(|count| *count == 0)
        });
        let firsts = free.filter_map(|(route, jobs)| Some((jobs.first()?, *route)));
        let ((due, _, key), route) = firsts.min()?;
        (*due <= now).then(|| (route, key.clone()))
    }

    /// Number of unfinished jobs, including finished ones that restart.
    pub fn unfinished(&self) -> usize {
        self.on_their_way.len() + self.arriving_again
    }

    /// The finished jobs beyond a number, those that finished first.
    pub fn surplus(&self, most: usize) -> Vec<JobKey> {
        let surplus = self.ended.len().saturating_sub(most);
        let first = self.ended.iter().take(surplus);
        first.map(|(_, key)| key.clone()).collect()
    }

    /// Unfinished jobs first, then the others from the last finished on.
    pub fn in_order(&self) -> impl Iterator<Item = (&JobKey, &JobEntry)> {
        let keys = self.on_their_way.iter().chain(self.ended.iter().rev());
        keys.filter_map(|(_, key)| Some((key, self.get(key)?)))
    }

    /// For each service, its last finished jobs, up to a number.
    pub fn last_ended(&self, most: usize) -> impl Iterator<Item = (&str, Vec<&JobEntry>)> {
        self.ended_of.iter().map(move |(service, keys)| {
            let last = keys.iter().rev().take(most);
            let jobs = last.filter_map(|(_, key)| self.get(key)).collect();
            (service.as_str(), jobs)
        })
    }

    /// Since when the longest waiting job has waited for a prediction or to be sent.
    pub fn waits_since(&self) -> Option<Time> {
        self.waiting.first().map(|(since, _)| *since)
    }

    /// Number of jobs of each service in each state.
    pub fn counts(&self) -> &BTreeMap<String, [usize; JobState::ALL.len()]> {
        &self.counts
    }

    /// Number of unfinished jobs whose service the settings no longer have.
    pub fn orphans(&self) -> usize {
        self.orphans
    }

    /// Number of jobs that may lack instances.
    pub fn doubtful(&self) -> usize {
        self.doubtful
    }
}

impl Turns {
    fn insert(&mut self, turn: &Turn, job: (Time, JobKey)) {
        let next = &mut self.next;
        let (number, jobs) = self.jobs.entry(turn.clone()).or_insert_with(|| {
            *next += 1;
            (*next, BTreeSet::new())
        });
        jobs.insert(job);
        self.order.insert((*number, turn.clone()));
    }

    /// Removes a job; the others of its caller wait for their next turn.
    fn remove(&mut self, turn: &Turn, job: &(Time, JobKey)) {
        let Some((number, jobs)) = self.jobs.get_mut(turn) else {
            return;
        };
        if !jobs.remove(job) {
            return;
        }
        self.order.remove(&(*number, turn.clone()));
        if jobs.is_empty() {
            self.jobs.remove(turn);
        } else {
            self.next += 1;
            *number = self.next;
            self.order.insert((*number, turn.clone()));
        }
    }

    fn next(&self) -> Option<JobKey> {
        let (_, turn) = self.order.first()?;
        let (_, jobs) = self.jobs.get(turn)?;
        jobs.first().map(|(_, key)| key.clone())
    }
}
