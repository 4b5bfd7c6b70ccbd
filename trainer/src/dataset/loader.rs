//! Preparation of batches ahead of the steps that need them.

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::Scope;

use super::{Batch, CaseCache, CaseLoadError, Sampler, TrainingVolume};
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
                    for epoch in first_epoch..source.plan.num_epochs {
                        let skipped = if epoch == first_epoch { first_step } else { 0 };
                        let groups = source.sampler.groups(epoch);
                        let same = source.sampler.steps_per_image();
                        for (index, group) in groups.iter().enumerate().skip(skipped / same) {
                            let mine = turns.next() == Some(thread);
                            let steps = (index * same).max(skipped)..(index + 1) * same;
                            let send = |prepared| sender.send(prepared).ok();
                            if mine && prepare(source, epoch, steps, group, send).is_none() {
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

/// Prepares the batches of these steps, all of one group of cases. Returns `None` once the loader is dropped.
fn prepare(
    source: BatchSource<'_>,
    epoch: usize,
    steps: std::ops::Range<usize>,
    group: &[usize],
    send: impl Fn(Prepared) -> Option<()>,
) -> Option<()> {
    let BatchSource {
        cases,
        sampler,
        plan,
        recipe,
        ..
    } = source;
    let volumes: Result<Vec<_>, _> = group.iter().map(|&case| cases.get(case)).collect();
    let volumes = match volumes {
        Ok(volumes) => volumes,
        Err(error) => {
            send(Err(error));
            return None;
        }
    };
    let group: Vec<&TrainingVolume> = volumes.iter().map(AsRef::as_ref).collect();
    let end = steps.end;
    steps.into_iter().try_for_each(|step| {
        let batch = sampler.batch(plan, recipe, epoch, step, &group);
        send(Ok((batch, step + 1 == end)))
    })
}
