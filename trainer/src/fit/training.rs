//! The training itself.

use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};
use std::thread::{self, available_parallelism};
use std::time::{Duration, Instant};

use burn::module::{AutodiffModule, Module, ModuleMapper, Param};
use burn::tensor::Tensor;
use burn::tensor::backend::{AutodiffBackend, Backend};
use vesal_bundle::run_record::Score;
use vesal_kernels::{Kernels, Layers};
use vesal_models::{ConfigError, NetworkConfig, SegResNetDs};

use super::checkpoint::{
    CHECKPOINT_FILE, CheckpointHead, Position, WEIGHTS_FILE, WeightsHead, weights, whole_state,
};
use super::data::Data;
use super::data_parallel::{DataParallel, Origin};
use super::learner::Task;
use super::metrics::Metrics;
use super::plans::Plans;
use super::rank::Ranks;
use super::run_dir::{Earlier, write_record};
use super::schedule::{WARMUP_MULTIPLIER, validation_epochs, warmup_cosine};
use super::writer::Writer;
use super::{
    FitError, FitObserver, FitOutcome, FitRequest, Start, StepReport, TrainDevice, ValidationReport,
};
use crate::dataset::{EpochPlan, Feed, Sampling, feed};
use crate::precision::Precision;
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
pub fn train<B>(
    request: &FitRequest,
    plans: &Plans,
    earlier: Option<Earlier>,
    ranks: Ranks<B>,
    observer: &mut dyn FitObserver,
) -> Result<FitOutcome, FitError>
where
    B: AutodiffBackend + Layers,
    B::InnerBackend: Kernels + Layers,
{
    ranks.check_shares(patches_per_step(plans))?;
    let data = Data::load(request, plans, observer)?;
    let device = &ranks.first.device.clone();
    let network = initialize::<B>(&plans.train.network, plans.train.seed, device)?;
    let resumed_after = earlier.as_ref().map(|earlier| earlier.checkpoint.position);
    let position = resumed_after.unwrap_or_default();
    let epochs = EpochPlan::new(data.training.len(), &plans.train, request.fold);
    let precision = request.devices.first().precision(plans.train.use_amp);
    observer.started(&Start {
        num_epochs: plans.train.num_epochs,
        steps_per_epoch: epochs.steps(),
        training_cases: data.training.len(),
        validation_cases: data.validation.len(),
        cached_bytes: data.bytes(),
        parameters: network.num_params(),
        resumed_after: resumed_after.map(|position| (position.epochs, position.steps)),
    });
    let origin = Origin {
        weight_decay: plans.train.weight_decay,
        precision,
        activation: plans.deploy.activation,
        checkpoint: earlier.as_ref().map(|earlier| {
            let path = request.run_dir.join(CHECKPOINT_FILE);
            (path, earlier.checkpoint.clone())
        }),
    };
    let learner = DataParallel::new(network, ranks, &origin)?;
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
        gathering_took: Duration::ZERO,
        writer: Writer::default(),
        observer,
        precision,
    };
    thread::scope(|scope| {
        let sampling = Sampling {
            cases: &data.training,
            epochs: &epochs,
            plan: &plans.train,
            threads: feeding_threads(request.devices.first()),
        };
        let mut feed = feed(scope, sampling, position.epochs, position.steps);
        training.run(learner, &mut feed, &data)
    })
}

/// Patches of a step, over all devices.
fn patches_per_step(plans: &Plans) -> usize {
    plans.train.num_images_per_batch.max(1) * plans.train.num_crops_per_image.max(1)
}

/// Threads that prepare batches: all cores but one where a GPU computes, a quarter of them where they compute.
fn feeding_threads(device: TrainDevice) -> usize {
    let cores = available_parallelism().map_or(1, |cores| cores.get());
    match device {
        TrainDevice::Cpu => (cores / 4).clamp(1, 8),
        TrainDevice::Cuda(_) => (cores - 1).clamp(1, 16),
    }
}

/// Builds a network whose weights follow from the seed.
pub fn initialize<B: AutodiffBackend>(
    config: &NetworkConfig,
    seed: u64,
    device: &B::Device,
) -> Result<SegResNetDs<B>, ConfigError> {
    // The generator belongs to the whole process: two trainings must not draw from it at once.
    static GENERATOR: Mutex<()> = Mutex::new(());
    let _drawing = GENERATOR.lock().unwrap_or_else(PoisonError::into_inner);
    B::seed(device, seed);
    let network = copy_to(config.init(device)?, device);
    B::memory_cleanup(device);
    Ok(network)
}

/// Copies a network to a device.
pub fn copy_to<B: AutodiffBackend>(network: SegResNetDs<B>, device: &B::Device) -> SegResNetDs<B> {
    network.map(&mut Copy { device })
}

/// Copies weights into memory without padding between rows; draws them before, if they are used for the first time.
struct Copy<'a, D> {
    device: &'a D,
}

impl<B: Backend> ModuleMapper<B> for Copy<'_, B::Device> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        let (id, tensor, mapper) = param.consume();
        let shape = tensor.shape();
        let mut data = tensor.into_data();
        data.shape = [shape.num_elements()].into();
        let weights = Tensor::<B, 1>::from_data(data, self.device).reshape(shape);
        Param::from_mapped_value(id, weights.require_grad(), mapper)
    }
}

/// A training under way.
struct Training<'a, B: AutodiffBackend> {
    request: &'a FitRequest,
    plans: &'a Plans,
    device: &'a B::Device,
    observer: &'a mut dyn FitObserver,
    steps_per_epoch: usize,
    metrics: Metrics,
    precision: Precision,
    position: Position,
    best: Option<Score>,
    saved_at: Instant,
    gathering_took: Duration,
    writer: Writer,
}

impl<B> Training<'_, B>
where
    B: AutodiffBackend + Layers,
    B::InnerBackend: Kernels + Layers,
{
    fn run(
        mut self,
        mut learner: DataParallel<B>,
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
                    return self.stop(&mut learner);
                }
                learner = self.step(learner, feed, plan.learning_rate * factor)?;
                if self.saved_at.elapsed() > CHECKPOINT_INTERVAL {
                    self.checkpoint(&mut learner)?;
                }
            }
            if validations.binary_search(&(epoch + 1)).is_ok() {
                if self.saved_at.elapsed() > WORTH_KEEPING {
                    self.checkpoint(&mut learner)?;
                }
                self.settle(&mut learner)?;
                match self.validate(&learner.first.network, data)? {
                    Some(report) => self.keep(&learner.first.network, report)?,
                    None => return self.stop(&mut learner),
                }
                learner.first.restart_clock();
            }
            self.position = Position {
                epochs: epoch + 1,
                steps: 0,
            };
            if epoch + 1 == plan.num_epochs || self.checkpoint_is_due()? {
                self.checkpoint(&mut learner)?;
            }
        }
        self.writer.wait()?;
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
        learner: DataParallel<B>,
        feed: &mut Feed,
        learning_rate: f64,
    ) -> Result<DataParallel<B>, FitError> {
        let waiting = Instant::now();
        let (epoch, step) = (self.position.epochs + 1, self.position.steps + 1);
        let batch = feed.next_batch().ok_or(FitError::Feed { epoch, step })?;
        let task = Task {
            epoch,
            step,
            learning_rate,
            batch,
            share: 1.0,
            data_wait: waiting.elapsed(),
        };
        let (learner, report) = learner.step(task)?;
        self.position.steps = step;
        self.report(report)?;
        Ok(learner)
    }

    /// Waits for the step under way.
    fn settle(&mut self, learner: &mut DataParallel<B>) -> Result<(), FitError> {
        let report = learner.settle()?;
        self.report(report)
    }

    fn report(&mut self, report: Option<StepReport>) -> Result<(), FitError> {
        if let Some(report) = report {
            self.metrics.step(&report)?;
            self.observer.step(&report);
        }
        Ok(())
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
        let mut predictor = BurnPredictor::<_, B::InnerBackend>::new(
            &network,
            classes,
            self.device,
            self.precision,
            self.windows_at_once(),
        );
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
                .add(name, &case.labels, &labels)
                .map_err(|error| failed(error.into()))?;
            self.observer
                .validating(epoch, index + 1, data.validation.len());
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

    /// Records a validation, and the weights if they are the best so far.
    fn keep(&mut self, network: &SegResNetDs<B>, report: ValidationReport) -> Result<(), FitError> {
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
        self.metrics.validation(&report)?;
        self.observer.validated(&report);
        Ok(())
    }

    fn checkpoint(&mut self, learner: &mut DataParallel<B>) -> Result<(), FitError> {
        self.settle(learner)?;
        let started = Instant::now();
        let head = CheckpointHead {
            identity: self.plans.identity.clone(),
            position: self.position,
            num_epochs: self.plans.train.num_epochs,
            optimizer_steps: learner.first.optimizer.time,
            loss_scale: learner.first.loss_scale.scale,
        };
        let state = whole_state(&learner.first.network, &learner.first.optimizer);
        self.gathering_took = started.elapsed();
        let path = self.request.run_dir.join(CHECKPOINT_FILE);
        self.writer.write(&path, head, state)?;
        self.saved_at = Instant::now();
        learner.first.restart_clock();
        self.observer
            .checkpointed(self.position.epochs, self.position.steps);
        Ok(())
    }

    /// Whether checkpoints at the ends of epochs take little of the time.
    fn checkpoint_is_due(&mut self) -> Result<bool, FitError> {
        let Some(writing_took) = self.writer.took()? else {
            return Ok(false);
        };
        let took = self.gathering_took + writing_took;
        Ok(self.saved_at.elapsed() > took * CHECKPOINT_SHARE)
    }

    /// Windows that a validation predicts at once: without gradients, twice a step's patches fit easily.
    fn windows_at_once(&self) -> usize {
        match self.request.devices.first() {
            TrainDevice::Cpu => 1,
            TrainDevice::Cuda(_) => {
                2 * patches_per_step(self.plans).div_ceil(self.request.devices.all().len())
            }
        }
    }

    fn stopped(&self) -> bool {
        self.request.stop.load(Ordering::Relaxed)
    }

    fn stop(mut self, learner: &mut DataParallel<B>) -> Result<FitOutcome, FitError> {
        self.checkpoint(learner)?;
        self.writer.wait()?;
        Ok(FitOutcome::Stopped {
            epoch: self.position.epochs + 1,
            step: self.position.steps,
        })
    }
}
