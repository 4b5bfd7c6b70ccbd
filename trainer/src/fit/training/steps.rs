//! Optimization steps of a training, and reports of them.

use std::time::Instant;

use burn::tensor::backend::AutodiffBackend;
use vesal_kernels::{BackendOps, DifferentiableOps};

use super::Training;
use crate::dataset::DataLoader;
use crate::fit::data_parallel::DataParallel;
use crate::fit::learner::StepInput;
use crate::fit::{FitError, StepReport};

impl<B> Training<'_, B>
where
    B: AutodiffBackend + DifferentiableOps,
    B::InnerBackend: BackendOps + DifferentiableOps,
{
    pub(super) fn step(
        &mut self,
        learner: DataParallel<B>,
        loader: &mut DataLoader,
        learning_rate: f64,
    ) -> Result<DataParallel<B>, FitError> {
        let waiting = Instant::now();
        let (epoch, step) = (self.position.epochs + 1, self.position.steps + 1);
        let batch = loader
            .next_batch()?
            .ok_or(FitError::DataLoader { epoch, step })?;
        let input = StepInput {
            epoch,
            step,
            learning_rate,
            batch,
            share: 1.0,
            data_wait: waiting.elapsed(),
        };
        let (learner, report) = learner.step(input)?;
        self.average = self
            .average
            .take()
            .map(|average| average.add(&learner.first.network));
        self.position.steps = step;
        self.report(report)?;
        Ok(learner)
    }

    /// Waits for the last step that was started.
    pub(super) fn settle(&mut self, learner: &mut DataParallel<B>) -> Result<(), FitError> {
        let report = learner.settle()?;
        self.report(report)
    }

    fn report(&mut self, report: Option<StepReport>) -> Result<(), FitError> {
        if let Some(report) = report {
            self.metrics.step(&report)?;
            self.events.step(&report)?;
            self.observer.step(&report);
        }
        Ok(())
    }
}
