//! Validations of a training, and its best weights.

use std::sync::atomic::Ordering;
use std::thread;
use std::time::Instant;

use burn::module::AutodiffModule;
use burn::tensor::backend::AutodiffBackend;
use vesal_kernels::{BackendOps, DifferentiableOps};
use vesal_models::Network;

use super::{Training, windows_at_once};
use crate::fit::checkpoint::{WEIGHTS_FILE, WeightsHead, weights};
use crate::fit::data::Data;
use crate::fit::{FitError, ValidationReport};
use crate::validate::{BurnPredictor, Scores, segment};

impl<B> Training<'_, B>
where
    B: AutodiffBackend + DifferentiableOps,
    B::InnerBackend: BackendOps + DifferentiableOps,
{
    /// Scores the network on all held-out cases; `None` if it was stopped meanwhile.
    pub(super) fn validate(
        &mut self,
        network: &Network<B>,
        data: &Data<'_>,
    ) -> Result<Option<ValidationReport>, FitError> {
        let started = Instant::now();
        let epoch = self.position.epochs + 1;
        let network = network.valid();
        let classes = self.plans.train.network.out_channels();
        let mut predictor = BurnPredictor::<_, B::InnerBackend>::new(
            &network,
            classes,
            self.device,
            self.precision,
            windows_at_once(self.request, self.plans),
        );
        let mut scores = Scores::new(&self.plans.deploy);
        let proceed = || !self.request.stop.load(Ordering::Relaxed);
        self.observer.validating(epoch, 0, data.validation.len());
        let plan = &self.plans.deploy;
        let finished = thread::scope(|scope| {
            let total = data.validation.len();
            for (index, case) in data.validation.in_order(scope).iter().enumerate() {
                let case = case?;
                let failed = |error| FitError::Validate {
                    case: data.validation.name(index).to_owned(),
                    epoch,
                    source: Box::new(error),
                };
                let labels = segment(&case, plan, &mut predictor, &proceed).map_err(failed)?;
                let Some(labels) = labels else {
                    return Ok(false);
                };
                scores
                    .add(data.validation.name(index), &case.labels, &labels)
                    .map_err(|error| failed(error.into()))?;
                self.observer.validating(epoch, index + 1, total);
            }
            Ok::<_, FitError>(true)
        })?;
        if !finished {
            return Ok(None);
        }
        let (mean, cases) = scores.finish();
        let score = mean.at_epoch(epoch);
        let best = self
            .best
            .as_ref()
            .is_none_or(|best| score.mean_dice > best.mean_dice);
        Ok(Some(ValidationReport {
            score,
            cases,
            best,
            duration: started.elapsed(),
        }))
    }

    /// Records a validation, and keeps the weights if they are the best so far.
    pub(super) fn keep(
        &mut self,
        network: &Network<B>,
        report: ValidationReport,
    ) -> Result<(), FitError> {
        if report.best {
            let head = WeightsHead {
                identity: self.plans.identity.clone(),
                score: report.score.clone(),
                cases: report.cases.clone(),
            };
            let path = self.request.run_dir.join(WEIGHTS_FILE);
            self.writer.write(&path, head, weights(network))?;
            self.best = Some(report.score.clone());
        }
        self.history
            .push((report.score.epoch, report.score.mean_dice));
        self.metrics.validation(&report)?;
        self.events.validation(&report)?;
        self.observer.validated(&report);
        Ok(())
    }
}
