//! Optimization steps that are launched on the device without waiting for their results.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use burn::optim::GradientsParams;
use burn::tensor::backend::AutodiffBackend;
use burn::tensor::{Int, Tensor, TensorData};
use vesal_kernels::{BackendOps, DifferentiableOps, Scalars};
use vesal_models::{Network, SegmentationNetwork};

use super::loss_scale::LossScale;
use super::optimizer::GradientDescent;
use super::rank::Rank;
use super::{FitError, StepReport};
use crate::dataset::Batch;
use crate::loss::{Objective, deep_supervision};
use crate::precision::Precision;
use crate::upload;

/// A network in training on one device; among several devices it receives a share of the patches.
#[derive(Debug)]
pub struct Learner<B: AutodiffBackend>
where
    B::InnerBackend: BackendOps,
{
    pub network: Network<B>,
    pub optimizer: GradientDescent<B::InnerBackend>,
    pub loss_scale: LossScale,
    pub rank: Rank<B>,
    precision: Precision,
    objective: Objective,
    under_way: VecDeque<UnderWay>,
    settled_at: Instant,
}

/// A launched step whose results have not been read.
#[derive(Debug)]
struct UnderWay {
    epoch: usize,
    step: usize,
    learning_rate: f64,
    data_wait: Duration,
    /// The loss and, in guarded steps, the sum of the squared gradients.
    results: Scalars,
    scale: f32,
}

/// Input of an optimization step.
#[derive(Debug)]
pub struct StepInput {
    /// Epoch, from 1.
    pub epoch: usize,
    /// Step in the epoch, from 1.
    pub step: usize,
    pub learning_rate: f64,
    pub batch: Batch,
    /// Fraction of the step's patches that are in `batch`, 0 to 1.
    pub share: f64,
    /// Time that the step waited for its batch.
    pub data_wait: Duration,
}

impl StepInput {
    /// Splits the patches into `shares` parts of at least one patch each; everything else is copied.
    pub fn split(self, shares: usize) -> Vec<Self> {
        let patches = self.batch.shape[0] as f64;
        let batches = self.batch.split(shares).into_iter();
        batches
            .map(|batch| Self {
                share: self.share * batch.shape[0] as f64 / patches,
                batch,
                ..self
            })
            .collect()
    }
}

impl<B> Learner<B>
where
    B: AutodiffBackend + DifferentiableOps,
    B::InnerBackend: BackendOps,
{
    pub fn new(
        network: Network<B>,
        optimizer: GradientDescent<B::InnerBackend>,
        loss_scale: LossScale,
        precision: Precision,
        objective: Objective,
        rank: Rank<B>,
    ) -> Self {
        Self {
            network,
            optimizer,
            loss_scale,
            rank,
            precision,
            objective,
            under_way: VecDeque::new(),
            settled_at: Instant::now(),
        }
    }

    /// Starts a step without waiting for the device.
    pub fn start(mut self, input: StepInput) -> Self {
        let loss = self.loss(input.batch).mul_scalar(input.share);
        let (scaled, scale) = match self.precision {
            Precision::Single => (loss.clone(), 1.0),
            Precision::Mixed => {
                let scale = self.loss_scale.scale;
                (loss.clone().mul_scalar(scale), scale)
            }
        };
        let gradients = GradientsParams::from_grads(scaled.backward(), &self.network);
        let (loss, gradients) = self.rank.sum(&self.network, loss.inner(), gradients);
        let guarded = self.precision == Precision::Mixed;
        let (network, squared_norm) = self.optimizer.step::<B, _>(
            input.learning_rate,
            self.network,
            gradients,
            1.0 / scale,
            guarded,
        );
        self.network = network;
        let results = [Some(loss), squared_norm].into_iter().flatten();
        let results = results.map(|tensor| tensor.into_primitive().tensor());
        self.under_way.push_back(UnderWay {
            epoch: input.epoch,
            step: input.step,
            learning_rate: input.learning_rate,
            data_wait: input.data_wait,
            results: B::InnerBackend::read_scalars(results.collect()),
            scale,
        });
        self
    }

    /// Waits for the oldest launched step if more than `left` steps are launched; with 1, the device always has work.
    ///
    /// **Errors**: [`FitError::Diverged`].
    pub fn finish(&mut self, left: usize) -> Result<Option<StepReport>, FitError> {
        if self.under_way.len() <= left {
            return Ok(None);
        }
        let oldest = self.under_way.pop_front();
        oldest.map(|oldest| self.report(oldest)).transpose()
    }

    /// Restarts the clock of the step duration after a pause.
    pub fn restart_clock(&mut self) {
        self.settled_at = Instant::now();
    }

    fn report(&mut self, done: UnderWay) -> Result<StepReport, FitError> {
        let results = done.results.wait();
        let loss = results.first().copied().unwrap_or(f32::NAN);
        let overflow = results.get(1).is_some_and(|norm| !norm.is_finite());
        let finite = match self.precision {
            Precision::Single => loss.is_finite() && !overflow,
            Precision::Mixed => {
                if overflow {
                    self.optimizer.undo();
                }
                self.loss_scale.learn(done.scale, overflow)
            }
        };
        if !finite {
            return Err(FitError::Diverged {
                epoch: done.epoch,
                step: done.step,
                loss,
                learning_rate: done.learning_rate,
            });
        }
        let duration = self.settled_at.elapsed();
        self.settled_at = Instant::now();
        Ok(StepReport {
            epoch: done.epoch,
            step: done.step,
            loss,
            learning_rate: done.learning_rate,
            duration,
            data_wait: done.data_wait,
        })
    }

    fn loss(&self, batch: Batch) -> Tensor<B, 1> {
        let device = &self.rank.device;
        let [n, _, x, y, z] = batch.shape;
        let images = upload::patches(batch.images, batch.shape, self.precision, device);
        let count = batch.classes.len();
        let classes =
            Tensor::<B, 1, Int>::from_data(TensorData::new(batch.classes, [count]), device)
                .reshape([n, x, y, z]);
        deep_supervision(
            self.network.forward_training(images),
            classes,
            &self.objective,
        )
    }
}
