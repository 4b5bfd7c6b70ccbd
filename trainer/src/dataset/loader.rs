//! Preparation of batches ahead of the steps that need them.

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::Scope;

use super::{Batch, CaseCache, CaseGroup, CaseLoadError, Sampler, TrainingVolume};
use crate::algorithms::Recipe;
use crate::train_plan::TrainPlan;

/// Batches that each thread prepares ahead.
const AHEAD: usize = 2;

#[derive(Debug, Clone, Copy)]
pub struct BatchSource<'a> {
    pub cases: &'a CaseCache<'a, TrainingVolume>,
    /// Assigns cases to steps, and derives random numbers.
    pub sampler: &'a Sampler,
    pub plan: &'a TrainPlan,
    pub recipe: &'a Recipe,
    /// Number of threads that prepare batches; at least one.
    pub threads: usize,
}

/// Batches in the order of training, prepared by threads of the loader.
#[derive(Debug)]
pub struct DataLoader {
    receivers: Vec<Receiver<Prepared>>,
    next: usize,
}

/// A batch, and whether it is the last one of its group of cases, after which the next thread delivers.
type Prepared = Result<(Batch, bool), CaseLoadError>;

impl DataLoader {
    /// Starts threads that prepare the batches from a step of an epoch (both from 0) on, until the loader is dropped.
    ///
    /// All steps of a group of cases are prepared by one thread, so that a case outside of memory is read once for
    /// them.
    pub fn start<'scope>(
        scope: &'scope Scope<'scope, '_>,
        source: BatchSource<'scope>,
        first_epoch: usize,
        first_step: usize,
    ) -> Self {
        let threads = source.threads.max(1);
        let receivers = (0..threads)
            .map(|thread| {
                let (sender, receiver) = sync_channel(AHEAD);
                scope.spawn(move || {
                    let mut turns = (0..threads).cycle();
                    let (first_round, skipped) = source.sampler.in_round(first_epoch, first_step);
                    for round in first_round..source.plan.rounds() {
                        let skipped = if round == first_round { skipped } else { 0 };
                        let groups = source.sampler.groups(round).into_iter();
                        for group in groups.filter(|group| group.steps.end > skipped) {
                            let mine = turns.next() == Some(thread);
                            let send = |prepared| sender.send(prepared).ok();
                            let start = group.steps.start.max(skipped);
                            if mine && prepare(source, round, start, &group, send).is_none() {
                                return;
                            }
                        }
                    }
                });
                receiver
            })
            .collect();
        Self { receivers, next: 0 }
    }

    /// The next step's batch; `None` after the last epoch.
    ///
    /// **Errors**: [`CaseLoadError`] where a case has to be read again and cannot be.
    pub fn next_batch(&mut self) -> Result<Option<Batch>, CaseLoadError> {
        let Ok(prepared) = self.receivers[self.next].recv() else {
            return Ok(None);
        };
        let (batch, last) = prepared?;
        if last {
            self.next = (self.next + 1) % self.receivers.len();
        }
        Ok(Some(batch))
    }
}

/// Prepares the batches of a group's steps from `start` on. Returns `None` once the loader is dropped.
fn prepare(
    source: BatchSource<'_>,
    round: usize,
    start: usize,
    group: &CaseGroup,
    send: impl Fn(Prepared) -> Option<()>,
) -> Option<()> {
    let BatchSource {
        cases,
        sampler,
        plan,
        recipe,
        ..
    } = source;
    // A case that is in the group more than once is read once.
    let mut distinct = group.cases.clone();
    distinct.sort_unstable();
    distinct.dedup();
    let read: Result<Vec<_>, _> = distinct.iter().map(|&case| cases.get(case)).collect();
    let read = match read {
        Ok(read) => read,
        Err(error) => {
            send(Err(error));
            return None;
        }
    };
    let place = |case| distinct.partition_point(|other| other < case);
    let volumes: Vec<&TrainingVolume> = group
        .cases
        .iter()
        .map(|case| read[place(case)].as_ref())
        .collect();
    let end = group.steps.end;
    (start..end).try_for_each(|step| {
        let batch = sampler.batch(plan, recipe, round, step, (group, &volumes));
        send(Ok((batch, step + 1 == end)))
    })
}
