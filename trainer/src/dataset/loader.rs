//! Preparing batches ahead of the steps that need them.

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::Scope;

use super::{Batch, EpochPlan, TrainingVolume};
use crate::train_plan::TrainPlan;

/// Batches that each thread holds ready.
const AHEAD: usize = 2;

/// What batches are made of.
#[derive(Debug, Clone, Copy)]
pub struct Sampling<'a> {
    /// Cases to cut from.
    pub cases: &'a [TrainingVolume],
    /// Order of cases and random numbers.
    pub epochs: &'a EpochPlan,
    /// Patch size, batch size, where to cut, number of epochs.
    pub plan: &'a TrainPlan,
    /// Threads that prepare batches; at least one.
    pub threads: usize,
}

/// Batches in the order of training.
#[derive(Debug)]
pub struct Feed {
    receivers: Vec<Receiver<Batch>>,
    next: usize,
}

impl Feed {
    /// The next step's batch; `None` after the last epoch.
    pub fn next_batch(&mut self) -> Option<Batch> {
        let batch = self.receivers[self.next].recv().ok()?;
        self.next = (self.next + 1) % self.receivers.len();
        Some(batch)
    }
}

/// Starts threads that prepare the batches from a step of an epoch (both from 0) on, until the feed is dropped.
pub fn feed<'scope>(
    scope: &'scope Scope<'scope, '_>,
    sampling: Sampling<'scope>,
    first_epoch: usize,
    first_step: usize,
) -> Feed {
    let threads = sampling.threads.max(1);
    let receivers = (0..threads)
        .map(|thread| {
            let (sender, receiver) = sync_channel(AHEAD);
            scope.spawn(move || {
                let Sampling {
                    cases,
                    epochs,
                    plan,
                    ..
                } = sampling;
                let mut turn = 0;
                for epoch in first_epoch..plan.num_epochs {
                    let skipped = if epoch == first_epoch { first_step } else { 0 };
                    for (step, group) in epochs.groups(epoch).iter().enumerate().skip(skipped) {
                        let mine = turn % threads == thread;
                        turn += 1;
                        if mine
                            && sender
                                .send(epochs.batch(cases, plan, epoch, step, group))
                                .is_err()
                        {
                            return;
                        }
                    }
                }
            });
            receiver
        })
        .collect();
    Feed { receivers, next: 0 }
}
