//! Checkpoints of a training.

use std::time::Instant;

use burn::tensor::backend::AutodiffBackend;
use vesal_kernels::{BackendOps, DifferentiableOps};

use super::Training;
use crate::fit::FitError;
use crate::fit::checkpoint::{CHECKPOINT_FILE, CheckpointHead, averaged_weights, whole_state};
use crate::fit::data_parallel::DataParallel;

/// At the ends of epochs, writing checkpoints takes at most one part in this many of the time.
const CHECKPOINT_SHARE: u32 = 20;

impl<B> Training<'_, B>
where
    B: AutodiffBackend + DifferentiableOps,
    B::InnerBackend: BackendOps + DifferentiableOps,
{
    pub(super) fn checkpoint(&mut self, learner: &mut DataParallel<B>) -> Result<(), FitError> {
        self.settle(learner)?;
        let started = Instant::now();
        let head = CheckpointHead {
            identity: self.plans.identity.clone(),
            position: self.position,
            num_epochs: self.plans.train.trained_epochs(),
            optimizer_steps: learner.first.optimizer.time,
            loss_scale: learner.first.loss_scale.scale,
            history: self.history.clone(),
            averaged_steps: self.average.as_ref().map_or(0, |average| average.steps),
        };
        let mut state = whole_state(&learner.first.network, &learner.first.optimizer);
        if let Some(average) = &self.average {
            state.extend(averaged_weights(&average.network));
        }
        self.gathering_took = started.elapsed();
        let path = self.request.run_dir.join(CHECKPOINT_FILE);
        self.writer.write(&path, head, state)?;
        self.saved_at = Instant::now();
        learner.first.restart_clock();
        self.observer
            .checkpointed(self.position.epochs, self.position.steps);
        Ok(())
    }

    /// Whether writing a checkpoint at this end of an epoch would take a small share of the time.
    pub(super) fn checkpoint_is_due(&mut self) -> Result<bool, FitError> {
        let Some(writing_took) = self.writer.took()? else {
            return Ok(false);
        };
        let took = self.gathering_took + writing_took;
        Ok(self.saved_at.elapsed() > took * CHECKPOINT_SHARE)
    }
}
