//! The jobs in memory, with indexes, so that nothing looks at all of them to find what is due.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Instant;

use crate::clock::Time;
use crate::config::{Retention, Service};
use crate::queue::unit::{Place, Turn, Unit, Way};
use crate::queue::{Key, State};

/// The jobs, by name.
#[derive(Debug)]
pub struct Units {
    services: Vec<Service>,
    retention: Retention,
    all: HashMap<Key, (Unit, Place)>,
    settle: BTreeSet<(Instant, Key)>,
    tidy: BTreeSet<(Time, Key)>,
    /// Jobs that wait for their next prediction until a time.
    later: BTreeSet<(Time, Key)>,
    ready: Turns,
    /// By service and destination: jobs to be sent, first those that are due first.
    send: BTreeMap<Way, BTreeSet<(Time, Time, Key)>>,
    /// By service and destination: jobs that are being sent.
    sending: BTreeMap<Way, usize>,
    /// Jobs on their way, and those that have ended, by when they came into their state.
    on_their_way: BTreeSet<(Time, Key)>,
    ended: BTreeSet<(Time, Key)>,
    /// Jobs with instances that wait to be taken in, and how many of these have ended before.
    arriving: BTreeSet<Key>,
    arriving_again: usize,
    ended_of: BTreeMap<String, BTreeSet<(Time, Key)>>,
    /// Jobs that wait for a prediction or to be sent.
    waiting: BTreeSet<(Time, Key)>,
    counts: BTreeMap<String, [usize; State::ALL.len()]>,
    orphans: usize,
    doubtful: usize,
}

/// Jobs that may be predicted: callers take turns, so that many jobs of one hold up no other.
#[derive(Debug, Default)]
struct Turns {
    jobs: BTreeMap<Turn, (u64, BTreeSet<(Time, Key)>)>,
    order: BTreeSet<(u64, Turn)>,
    next: u64,
}

impl Units {
    /// None, for these services.
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
                .map(|service| (service.ae_title.clone(), [0; State::ALL.len()]))
                .collect(),
            orphans: 0,
            doubtful: 0,
        }
    }

    pub fn get(&self, key: &Key) -> Option<&Unit> {
        self.all.get(key).map(|(unit, _)| unit)
    }

    /// Puts a job in.
    pub fn insert(&mut self, key: Key, unit: Unit) {
        self.remove(&key);
        let place = unit.place(&self.services, &self.retention);
        self.index(&key, &place);
        self.all.insert(key, (unit, place));
    }

    /// Takes a job out.
    pub fn remove(&mut self, key: &Key) -> Option<Unit> {
        let (unit, place) = self.all.remove(key)?;
        self.unindex(key, &place);
        Some(unit)
    }

    /// Changes a job; `None` where it is gone.
    pub fn update<T>(&mut self, key: &Key, change: impl FnOnce(&mut Unit) -> T) -> Option<T> {
        let (unit, place) = self.all.get_mut(key)?;
        let changed = change(unit);
        let now = unit.place(&self.services, &self.retention);
        if now != *place {
            let before = std::mem::replace(place, now.clone());
            self.unindex(key, &before);
            self.index(key, &now);
        }
        Some(changed)
    }

    fn index(&mut self, key: &Key, place: &Place) {
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
        for (way, due) in &place.send {
            let jobs = self.send.entry(*way).or_default();
            jobs.insert((*due, place.changed, key.clone()));
        }
        for way in &place.sending {
            *self.sending.entry(*way).or_default() += 1;
        }
        if place.state.is_final() {
            self.ended.insert(dated());
            let of = self.ended_of.entry(place.service.clone()).or_default();
            of.insert(dated());
        } else {
            self.on_their_way.insert(dated());
        }
        if matches!(place.state, State::Queued | State::Sending) {
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

    fn unindex(&mut self, key: &Key, place: &Place) {
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
        for (way, due) in &place.send {
            if let Some(jobs) = self.send.get_mut(way) {
                jobs.remove(&(*due, place.changed, key.clone()));
            }
        }
        for way in &place.sending {
            if let Some(count) = self.sending.get_mut(way) {
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
    pub fn complete(&self, now: Instant) -> Vec<Key> {
        let due = self.settle.iter().take_while(|(due, _)| *due <= now);
        due.map(|(_, key)| key.clone()).collect()
    }

    /// The jobs with instances that wait to be taken in.
    pub fn arriving(&self) -> impl Iterator<Item = (&Key, &Unit)> {
        let keys = self.arriving.iter();
        keys.filter_map(|key| Some((key, self.get(key)?)))
    }

    /// Whether a job is complete.
    pub fn is_complete(&self, key: &Key, now: Instant) -> bool {
        let due = self.all.get(key).and_then(|(_, place)| place.settle);
        due.is_some_and(|due| due <= now)
    }

    /// The jobs of which something is no longer kept.
    pub fn untidy(&self, now: Time) -> Vec<Key> {
        let due = self.tidy.iter().take_while(|(due, _)| *due <= now);
        due.map(|(_, key)| key.clone()).collect()
    }

    /// The job that is to be predicted next: callers in turn, of each the one that waits longest.
    pub fn next_run(&mut self, now: Time) -> Option<Key> {
        while let Some((due, _)) = self.later.first()
            && *due <= now
            && let Some((_, key)) = self.later.pop_first()
        {
            if let Some((unit, place)) = self.all.get(&key)
                && let Some((turn, _)) = &place.run
            {
                self.ready.insert(turn, (unit.job.changed, key));
            }
        }
        self.ready.next()
    }

    /// The job that is to be sent next, and where. To each destination of a service one at a time is: one that does not
    /// answer holds up no other.
    pub fn next_send(&self, now: Time) -> Option<(Way, Key)> {
        let free = self.send.iter().filter(|(way, _)| {
            let sending = self.sending.get(way);
            sending.is_none_or(|count| *count == 0)
        });
        let firsts = free.filter_map(|(way, jobs)| Some((jobs.first()?, *way)));
        let ((due, _, key), way) = firsts.min()?;
        (*due <= now).then(|| (way, key.clone()))
    }

    /// Jobs on their way, and those that have ended and begin anew.
    pub fn unfinished(&self) -> usize {
        self.on_their_way.len() + self.arriving_again
    }

    /// The jobs that have ended beyond so many, those that ended first.
    pub fn surplus(&self, most: usize) -> Vec<Key> {
        let surplus = self.ended.len().saturating_sub(most);
        let first = self.ended.iter().take(surplus);
        first.map(|(_, key)| key.clone()).collect()
    }

    /// First the jobs on their way, then the others, those that ended last first.
    pub fn in_order(&self) -> impl Iterator<Item = (&Key, &Unit)> {
        let keys = self.on_their_way.iter().chain(self.ended.iter().rev());
        keys.filter_map(|(_, key)| Some((key, self.get(key)?)))
    }

    /// Of each service the jobs that ended last, so many at most.
    pub fn last_ended(&self, most: usize) -> impl Iterator<Item = (&str, Vec<&Unit>)> {
        self.ended_of.iter().map(move |(service, keys)| {
            let last = keys.iter().rev().take(most);
            let units = last.filter_map(|(_, key)| self.get(key)).collect();
            (service.as_str(), units)
        })
    }

    /// When the job that waits longest for a prediction or to be sent came into its state.
    pub fn waits_since(&self) -> Option<Time> {
        self.waiting.first().map(|(since, _)| *since)
    }

    /// Jobs of each service in each state.
    pub fn counts(&self) -> &BTreeMap<String, [usize; State::ALL.len()]> {
        &self.counts
    }

    /// Jobs that wait for services that the settings do not have.
    pub fn orphans(&self) -> usize {
        self.orphans
    }

    /// Jobs of which instances may be missing.
    pub fn doubtful(&self) -> usize {
        self.doubtful
    }
}

impl Turns {
    fn insert(&mut self, turn: &Turn, job: (Time, Key)) {
        let next = &mut self.next;
        let (number, jobs) = self.jobs.entry(turn.clone()).or_insert_with(|| {
            *next += 1;
            (*next, BTreeSet::new())
        });
        jobs.insert(job);
        self.order.insert((*number, turn.clone()));
    }

    /// Takes a job out; the others of its caller wait for their next turn.
    fn remove(&mut self, turn: &Turn, job: &(Time, Key)) {
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

    fn next(&self) -> Option<Key> {
        let (_, turn) = self.order.first()?;
        let (_, jobs) = self.jobs.get(turn)?;
        jobs.first().map(|(_, key)| key.clone())
    }
}
