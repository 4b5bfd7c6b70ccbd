//! The training loop.

mod checkpoints;
mod steps;
mod validation;

use std::sync::atomic::Ordering;
use std::thread::{self, available_parallelism};
use std::time::{Duration, Instant};

use burn::module::Module;
use burn::tensor::backend::AutodiffBackend;
use vesal_bundle::run_record::Score;
use vesal_kernels::{BackendOps, DifferentiableOps};

use super::average::Average;
use super::checkpoint::{CHECKPOINT_FILE, Position, WEIGHTS_FILE, read_average};
use super::data::Data;
use super::data_parallel::{DataParallel, ReplicaState};
use super::early_stopping::{ends_early, has_diverged};
use super::events::{Events, Progress};
use super::initial_weights::start_from;
use super::metrics::Metrics;
use super::network::{copy_to, initialize};
use super::plans::Plans;
use super::rank::Ranks;
use super::run_dir::{ResumeState, write_record};
use super::writer::Writer;
use super::{FitError, FitObserver, FitOutcome, FitRequest, Start, TrainDevice};
use crate::dataset::{BatchSource, DataLoader, Sampler};
use crate::loss::Objective;
use crate::precision::Precision;

/// Time since the last checkpoint from which on another one is written within an epoch.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(600);
/// Time since the last checkpoint from which on another one is written before a validation.
const WORTH_KEEPING: Duration = Duration::from_secs(60);

/// Trains on one backend.
///
/// **Errors**: [`FitError`].
pub fn train<B>(
    request: &FitRequest,
    plans: &Plans,
    earlier: Option<ResumeState>,
    ranks: Ranks<B>,
    observer: &mut dyn FitObserver,
) -> Result<FitOutcome, FitError>
where
    B: AutodiffBackend + DifferentiableOps,
    B::InnerBackend: BackendOps + DifferentiableOps,
{
    ranks.check_shares(patches_per_step(plans))?;
    let device = &ranks.first.device.clone();
    let mut network = initialize::<B>(&plans.train.network, plans.train.seed, device)?;
    // A training that goes on has its own weights.
    if let (Some(weights), None) = (&plans.train.init_weights, &earlier) {
        let started = start_from(weights, &plans.train.network, network, device);
        network = started.map_err(|source| FitError::InitialWeights {
            path: weights.path.clone(),
            source,
        })?;
    }
    let data = Data::load(request, plans, observer)?;
    let resumed_after = earlier.as_ref().map(|earlier| earlier.checkpoint.position);
    let position = resumed_after.unwrap_or_default();
    let recipe = &plans.algorithm.recipe;
    let sampler = Sampler::new(data.training.len(), &plans.train, recipe, request.fold);
    let precision = request.devices.first().precision(plans.train.use_amp);
    observer.started(&Start {
        num_epochs: plans.train.trained_epochs(),
        steps_per_epoch: sampler.steps(),
        training_cases: data.training.len(),
        validation_cases: data.validation.len(),
        kept_cases: data.training.kept() + data.validation.kept(),
        kept_bytes: data.kept_bytes,
        parameters: network.num_params(),
        resumed_after: resumed_after.map(|position| (position.epochs, position.steps)),
    });
    let average = plans.train.ema_decay.map(|decay| {
        let averaged = copy_to(network.clone(), device);
        match &earlier {
            None => Ok(Average::new(averaged, 0, decay)),
            Some(earlier) => {
                let path = request.run_dir.join(CHECKPOINT_FILE);
                let averaged = read_average(&path, averaged, device)?;
                Ok(Average::new(
                    averaged,
                    earlier.checkpoint.averaged_steps,
                    decay,
                ))
            }
        }
    });
    let average = average.transpose().map_err(FitError::TensorFile)?;
    let replicas = ReplicaState {
        objective: Objective {
            loss: recipe.loss,
            activation: plans.deploy.activation,
            class_weights: plans.train.class_weights.clone(),
        },
        optimizer: recipe.optimizer,
        weight_decay: plans.train.weight_decay,
        max_norm: plans.train.clip_grad_norm,
        precision,
        checkpoint: earlier.as_ref().map(|earlier| {
            let path = request.run_dir.join(CHECKPOINT_FILE);
            (path, earlier.checkpoint.clone())
        }),
    };
    let learner = DataParallel::new(network, ranks, &replicas)?;
    let progress = Progress {
        steps: position.epochs * sampler.steps() + position.steps,
        validated_steps: position.epochs * sampler.steps(),
    };
    let labels = plans.deploy.foreground().map(|label| label.name.clone());
    let training = Training {
        request,
        plans,
        device,
        steps_per_epoch: sampler.steps(),
        metrics: Metrics::open(&request.run_dir, labels.collect(), position)?,
        events: Events::open(&request.run_dir, sampler.steps(), progress)?,
        position,
        history: earlier
            .as_ref()
            .map(|earlier| earlier.checkpoint.history.clone())
            .unwrap_or_default(),
        average,
        best: earlier.and_then(|earlier| earlier.best),
        saved_at: Instant::now(),
        gathering_took: Duration::ZERO,
        writer: Writer::default(),
        observer,
        precision,
    };
    thread::scope(|scope| {
        let source = BatchSource {
            cases: &data.training,
            sampler: &sampler,
            plan: &plans.train,
            recipe,
            threads: loader_threads(request.devices.first()),
        };
        let mut loader = DataLoader::start(scope, source, position.epochs, position.steps);
        training.run(learner, &mut loader, &data)
    })
}

/// Patches of a step on all devices together.
fn patches_per_step(plans: &Plans) -> usize {
    plans.train.num_images_per_batch.max(1) * plans.train.num_crops_per_image.max(1)
}

/// Number of windows that a validation predicts together. Without gradients, twice a step's patches fit easily.
pub fn windows_at_once(request: &FitRequest, plans: &Plans) -> usize {
    match request.devices.first() {
        TrainDevice::Cpu => 1,
        TrainDevice::Cuda(_) => 2 * patches_per_step(plans).div_ceil(request.devices.all().len()),
    }
}

/// Number of threads that prepare batches: all cores but one if a GPU computes, a quarter of them if the processor
/// does.
fn loader_threads(device: TrainDevice) -> usize {
    let cores = available_parallelism().map_or(1, |cores| cores.get());
    match device {
        TrainDevice::Cpu => (cores / 4).clamp(1, 8),
        TrainDevice::Cuda(_) => (cores - 1).clamp(1, 16),
    }
}

/// State of a training in progress.
struct Training<'a, B: AutodiffBackend> {
    request: &'a FitRequest,
    plans: &'a Plans,
    device: &'a B::Device,
    observer: &'a mut dyn FitObserver,
    steps_per_epoch: usize,
    metrics: Metrics,
    events: Events,
    history: Vec<(usize, f64)>,
    average: Option<Average<B>>,
    precision: Precision,
    position: Position,
    best: Option<Score>,
    saved_at: Instant,
    gathering_took: Duration,
    writer: Writer,
}

impl<B> Training<'_, B>
where
    B: AutodiffBackend + DifferentiableOps,
    B::InnerBackend: BackendOps + DifferentiableOps,
{
    fn run(
        mut self,
        mut learner: DataParallel<B>,
        loader: &mut DataLoader,
        data: &Data<'_>,
    ) -> Result<FitOutcome, FitError> {
        let plan = &self.plans.train;
        let recipe = &self.plans.algorithm.recipe;
        let validations = (recipe.validations)(plan);
        let epochs = plan.trained_epochs();
        for epoch in self.position.epochs..epochs {
            if self.position.steps == 0 && self.ends_early() {
                break;
            }
            let factor = (recipe.learning_rate_factor)(epoch, plan);
            while self.position.steps < self.steps_per_epoch {
                if self.stopped() {
                    return self.stop(&mut learner);
                }
                learner = self.step(learner, loader, plan.learning_rate * factor)?;
                if self.saved_at.elapsed() > CHECKPOINT_INTERVAL {
                    self.checkpoint(&mut learner)?;
                }
            }
            if validations.binary_search(&(epoch + 1)).is_ok() {
                if self.saved_at.elapsed() > WORTH_KEEPING {
                    self.checkpoint(&mut learner)?;
                }
                self.settle(&mut learner)?;
                let network = match &self.average {
                    Some(average) => average.network.clone(),
                    None => learner.first.network.clone(),
                };
                match self.validate(&network, data)? {
                    Some(report) => self.keep(&network, report)?,
                    None => return self.stop(&mut learner),
                }
                learner.first.restart_clock();
            }
            self.position = Position {
                epochs: epoch + 1,
                steps: 0,
            };
            let diverged = self.diverged();
            let last = epoch + 1 == epochs || self.ends_early() || diverged.is_some();
            if last || self.checkpoint_is_due()? {
                self.checkpoint(&mut learner)?;
            }
            if let Some(error) = diverged {
                self.writer.wait()?;
                return Err(error);
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

    /// Whether further epochs are useless.
    fn ends_early(&self) -> bool {
        let now = self.history.last().map(|(epoch, _)| *epoch) == Some(self.position.epochs);
        let rule = self.plans.algorithm.recipe.early_stopping;
        now && ends_early(&self.history, rule, &self.plans.train)
    }

    /// The error of a diverged training, by the last epoch's score.
    fn diverged(&self) -> Option<FitError> {
        let &(epoch, dice) = self.history.last()?;
        let plan = &self.plans.train;
        let low = epoch == self.position.epochs && has_diverged(epoch, dice, plan);
        low.then_some(FitError::LowScore {
            epoch,
            num_epochs: plan.num_epochs,
            // An empty sum is -0, which becomes 0.
            dice: dice + 0.0,
            learning_rate: plan.learning_rate,
        })
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
