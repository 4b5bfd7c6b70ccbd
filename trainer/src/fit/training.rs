//! The training itself.

use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use burn::module::{AutodiffModule, Module, ModuleVisitor, Param};
use burn::optim::{GradientsParams, Optimizer};
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{ElementConversion, Tensor, TensorData};
use vesal_bundle::run_record::Score;
use vesal_models::{ConfigError, NetworkConfig, SegResNetDs, SegmentationNetwork};

use super::checkpoint::{
    AdamOf, CHECKPOINT_FILE, CheckpointHead, Position, WEIGHTS_FILE, WeightsHead, adam,
    read_checkpoint, write_checkpoint, write_weights,
};
use super::data::Data;
use super::metrics::Metrics;
use super::plans::Plans;
use super::run_dir::{Earlier, write_record};
use super::schedule::{WARMUP_MULTIPLIER, validation_epochs, warmup_cosine};
use super::{
    FitError, FitObserver, FitOutcome, FitRequest, Start, StepReport, TrainDevice, ValidationReport,
};
use crate::dataset::{Batch, EpochPlan, Feed, Sampling, feed};
use crate::loss::deep_supervision;
use crate::validate::{BurnPredictor, Scores, segment};

/// Longest time without a checkpoint while steps are taken.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(600);
/// Steps of at least this time are worth a checkpoint before a validation.
const WORTH_KEEPING: Duration = Duration::from_secs(60);
/// At the ends of epochs, writing checkpoints takes at most one part in this many of the time.
const CHECKPOINT_SHARE: u32 = 20;

/// Trains on one backend.
///
/// **Errors**: [`FitError`].
pub fn train<B: AutodiffBackend>(
    request: &FitRequest,
    plans: &Plans,
    earlier: Option<Earlier>,
    device: &B::Device,
    observer: &mut dyn FitObserver,
) -> Result<FitOutcome, FitError> {
    let data = Data::load(request, plans, observer)?;
    let mut network = initialize::<B>(&plans.train.network, plans.train.seed, device)?;
    let mut optimizer = adam(plans.train.weight_decay);
    if earlier.is_some() {
        let path = request.run_dir.join(CHECKPOINT_FILE);
        (network, optimizer) = read_checkpoint(&path, network, optimizer, device)?;
    }
    let resumed_after = earlier.as_ref().map(|earlier| earlier.checkpoint.position);
    let position = resumed_after.unwrap_or_default();
    let epochs = EpochPlan::new(data.training.len(), &plans.train, request.fold);
    // A CPU has no mixed precision that anybody would expect.
    if plans.train.use_amp && request.device != TrainDevice::Cpu {
        observer.warning(
            "`use_amp` is on, but this backend computes in f32: mixed precision is not used",
        );
    }
    observer.started(&Start {
        num_epochs: plans.train.num_epochs,
        steps_per_epoch: epochs.steps(),
        training_cases: data.training.len(),
        validation_cases: data.validation.len(),
        cached_bytes: data.bytes(),
        parameters: network.num_params(),
        resumed_after: resumed_after.map(|position| (position.epochs, position.steps)),
    });
    let labels = plans
        .deploy
        .labels
        .iter()
        .skip(1)
        .map(|label| label.name.clone());
    let training = Training {
        request,
        plans,
        device,
        steps_per_epoch: epochs.steps(),
        metrics: Metrics::open(&request.run_dir, labels.collect(), position)?,
        position,
        best: earlier.and_then(|earlier| earlier.best),
        saved_at: Instant::now(),
        save_took: Duration::ZERO,
        observer,
        optimizer,
    };
    thread::scope(|scope| {
        let sampling = Sampling {
            cases: &data.training,
            epochs: &epochs,
            plan: &plans.train,
        };
        let mut feed = feed(scope, sampling, position.epochs, position.steps);
        training.run(network, &mut feed, &data)
    })
}

/// Builds a network whose weights follow from the seed.
fn initialize<B: AutodiffBackend>(
    config: &NetworkConfig,
    seed: u64,
    device: &B::Device,
) -> Result<SegResNetDs<B>, ConfigError> {
    struct Force;
    impl<B: Backend> ModuleVisitor<B> for Force {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
            param.val();
        }
    }
    // The generator belongs to the whole process: two trainings must not draw from it at once.
    static GENERATOR: Mutex<()> = Mutex::new(());
    let _drawing = GENERATOR.lock().unwrap_or_else(PoisonError::into_inner);
    B::seed(device, seed);
    let network = config.init(device)?;
    // Weights are drawn when they are first used.
    network.visit(&mut Force);
    Ok(network)
}

/// A training under way.
struct Training<'a, B: AutodiffBackend> {
    request: &'a FitRequest,
    plans: &'a Plans,
    device: &'a B::Device,
    observer: &'a mut dyn FitObserver,
    steps_per_epoch: usize,
    metrics: Metrics,
    optimizer: AdamOf<SegResNetDs<B>, B>,
    position: Position,
    best: Option<Score>,
    saved_at: Instant,
    save_took: Duration,
}

impl<B: AutodiffBackend> Training<'_, B> {
    fn run(
        mut self,
        mut network: SegResNetDs<B>,
        feed: &mut Feed,
        data: &Data<'_>,
    ) -> Result<FitOutcome, FitError> {
        let plan = &self.plans.train;
        let validations = validation_epochs(
            plan.num_epochs,
            plan.num_epochs_per_validation,
            plan.num_crops_per_image,
        );
        for epoch in self.position.epochs..plan.num_epochs {
            let factor = warmup_cosine(
                epoch,
                plan.num_warmup_epochs,
                plan.num_epochs,
                WARMUP_MULTIPLIER,
            );
            while self.position.steps < self.steps_per_epoch {
                if self.stopped() {
                    return self.stop(&network);
                }
                network = self.step(network, feed, plan.learning_rate * factor)?;
                if self.saved_at.elapsed() > CHECKPOINT_INTERVAL {
                    self.checkpoint(&network)?;
                }
            }
            if validations.binary_search(&(epoch + 1)).is_ok() {
                if self.saved_at.elapsed() > WORTH_KEEPING {
                    self.checkpoint(&network)?;
                }
                match self.validate(&network, data)? {
                    Some(report) => self.keep(&network, report)?,
                    None => return self.stop(&network),
                }
            }
            self.position = Position {
                epochs: epoch + 1,
                steps: 0,
            };
            if epoch + 1 == plan.num_epochs
                || self.saved_at.elapsed() > self.save_took * CHECKPOINT_SHARE
            {
                self.checkpoint(&network)?;
            }
        }
        let weights = self.request.run_dir.join(WEIGHTS_FILE);
        let score = self
            .best
            .take()
            .ok_or(FitError::NoWeights { path: weights })?;
        write_record(
            self.request,
            self.plans,
            score.clone(),
            &B::name(self.device),
        )?;
        Ok(FitOutcome::Finished { score })
    }

    /// Takes the next step.
    fn step(
        &mut self,
        network: SegResNetDs<B>,
        feed: &mut Feed,
        learning_rate: f64,
    ) -> Result<SegResNetDs<B>, FitError> {
        let started = Instant::now();
        let (epoch, step) = (self.position.epochs + 1, self.position.steps + 1);
        let batch = feed.next_batch().ok_or(FitError::Feed { epoch, step })?;
        let loss = self.loss(&network, batch);
        let gradients = GradientsParams::from_grads(loss.backward(), &network);
        let network = self.optimizer.step(learning_rate, network, gradients);
        // Read after the step was handed to the device, which then computes without a gap.
        let loss: f32 = loss.into_scalar().elem();
        if !loss.is_finite() {
            return Err(FitError::Diverged {
                epoch,
                step,
                loss,
                learning_rate,
            });
        }
        self.position.steps = step;
        let report = StepReport {
            epoch,
            step,
            loss,
            learning_rate,
            duration: started.elapsed(),
        };
        self.metrics.step(&report)?;
        self.observer.step(&report);
        Ok(network)
    }

    fn loss(&self, network: &SegResNetDs<B>, batch: Batch) -> Tensor<B, 1> {
        let [n, _, x, y, z] = batch.shape;
        let images = Tensor::from_data(TensorData::new(batch.images, batch.shape), self.device);
        let classes = Tensor::from_data(TensorData::new(batch.classes, [n, x, y, z]), self.device);
        deep_supervision(network.forward_training(images), classes)
    }

    /// Scores the network on all held-out cases; `None` if asked to stop meanwhile.
    fn validate(
        &mut self,
        network: &SegResNetDs<B>,
        data: &Data<'_>,
    ) -> Result<Option<ValidationReport>, FitError> {
        let started = Instant::now();
        let epoch = self.position.epochs + 1;
        let network = network.valid();
        let classes = self.plans.train.network.out_channels();
        let mut predictor =
            BurnPredictor::<_, B::InnerBackend>::new(&network, classes, self.device);
        let mut scores = Scores::new(&self.plans.deploy);
        let proceed = || !self.request.stop.load(Ordering::Relaxed);
        self.observer.validating(epoch, 0, data.validation.len());
        for (index, (name, case)) in data.validation.iter().enumerate() {
            let failed = |error| {
                let source = Box::new(error);
                FitError::Validate {
                    case: (*name).to_owned(),
                    epoch,
                    source,
                }
            };
            let labels =
                segment(case, &self.plans.deploy, &mut predictor, &proceed).map_err(failed)?;
            let Some(labels) = labels else {
                return Ok(None);
            };
            scores
                .add(&case.labels, &labels)
                .map_err(|error| failed(error.into()))?;
            self.observer
                .validating(epoch, index + 1, data.validation.len());
        }
        let score = scores.finish(epoch);
        let best = self
            .best
            .as_ref()
            .is_none_or(|best| score.mean_dice > best.mean_dice);
        Ok(Some(ValidationReport {
            score,
            best,
            duration: started.elapsed(),
        }))
    }

    /// Records a validation, and the weights if they are the best so far.
    fn keep(&mut self, network: &SegResNetDs<B>, report: ValidationReport) -> Result<(), FitError> {
        if report.best {
            let head = WeightsHead {
                identity: self.plans.identity.clone(),
                score: report.score.clone(),
            };
            write_weights(&self.request.run_dir.join(WEIGHTS_FILE), &head, network)?;
            self.best = Some(report.score.clone());
        }
        self.metrics.validation(&report)?;
        self.observer.validated(&report);
        Ok(())
    }

    fn checkpoint(&mut self, network: &SegResNetDs<B>) -> Result<(), FitError> {
        let started = Instant::now();
        let head = CheckpointHead {
            identity: self.plans.identity.clone(),
            position: self.position,
            num_epochs: self.plans.train.num_epochs,
        };
        write_checkpoint(
            &self.request.run_dir.join(CHECKPOINT_FILE),
            &head,
            network,
            &self.optimizer,
        )?;
        self.save_took = started.elapsed();
        self.saved_at = Instant::now();
        self.observer
            .checkpointed(self.position.epochs, self.position.steps);
        Ok(())
    }

    fn stopped(&self) -> bool {
        self.request.stop.load(Ordering::Relaxed)
    }

    fn stop(mut self, network: &SegResNetDs<B>) -> Result<FitOutcome, FitError> {
        self.checkpoint(network)?;
        Ok(FitOutcome::Stopped {
            epoch: self.position.epochs + 1,
            step: self.position.steps,
        })
    }
}
