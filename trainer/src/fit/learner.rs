//! Optimization steps, handed to the device without waiting for their results.

use std::time::{Duration, Instant};

use burn::optim::GradientsParams;
use burn::tensor::backend::AutodiffBackend;
use burn::tensor::{ElementConversion, FloatDType, Int, Tensor, TensorData};
use vesal_kernels::{Kernels, Layers};
use vesal_models::{SegResNetDs, SegmentationNetwork};

use super::loss_scale::LossScale;
use super::optimizer::AdamW;
use super::{FitError, StepReport};
use crate::dataset::Batch;
use crate::loss::deep_supervision;

/// What a network computes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// `f32` throughout.
    Single,
    /// Activations in `f16`; weights, statistics and updates in `f32`; the loss scaled.
    Mixed,
}

/// A network that learns.
#[derive(Debug)]
pub struct Learner<B: AutodiffBackend>
where
    B::InnerBackend: Kernels,
{
    /// The network.
    pub network: SegResNetDs<B>,
    /// Its optimizer.
    pub optimizer: AdamW<B::InnerBackend>,
    /// Factor on the loss.
    pub loss_scale: LossScale,
    precision: Precision,
    under_way: Option<UnderWay<B::InnerBackend>>,
    settled_at: Instant,
}

/// A step whose results the device has not been asked for.
#[derive(Debug)]
struct UnderWay<B: Kernels> {
    epoch: usize,
    step: usize,
    learning_rate: f64,
    data_wait: Duration,
    loss: Tensor<B, 1>,
    squared_norm: Option<Tensor<B, 1>>,
    scale: f32,
}

/// Which step to take, with what.
#[derive(Debug)]
pub struct Task {
    /// Epoch, from 1.
    pub epoch: usize,
    /// Step in the epoch, from 1.
    pub step: usize,
    /// Learning rate.
    pub learning_rate: f64,
    /// Patches.
    pub batch: Batch,
    /// Time for which the batch was waited for.
    pub data_wait: Duration,
}

impl<B> Learner<B>
where
    B: AutodiffBackend + Layers,
    B::InnerBackend: Kernels,
{
    /// A learner at rest.
    pub fn new(
        network: SegResNetDs<B>,
        optimizer: AdamW<B::InnerBackend>,
        loss_scale: LossScale,
        precision: Precision,
    ) -> Self {
        Self {
            network,
            optimizer,
            loss_scale,
            precision,
            under_way: None,
            settled_at: Instant::now(),
        }
    }

    /// Starts a step and gives the report of the one before, so that the device always has work.
    ///
    /// **Errors**: [`FitError::Diverged`], of the step before.
    pub fn step(
        mut self,
        task: Task,
        device: &B::Device,
    ) -> Result<(Self, Option<StepReport>), FitError> {
        let loss = self.loss(task.batch, device);
        let (scaled, scale) = match self.precision {
            Precision::Single => (loss.clone(), 1.0),
            Precision::Mixed => {
                let scale = self.loss_scale.scale;
                (loss.clone().mul_scalar(scale), scale)
            }
        };
        let gradients = GradientsParams::from_grads(scaled.backward(), &self.network);
        let guarded = self.precision == Precision::Mixed;
        let (network, squared_norm) = self.optimizer.step::<B, _>(
            task.learning_rate,
            self.network,
            gradients,
            1.0 / scale,
            guarded,
        );
        self.network = network;
        let before = self.under_way.replace(UnderWay {
            epoch: task.epoch,
            step: task.step,
            learning_rate: task.learning_rate,
            data_wait: task.data_wait,
            loss: loss.inner(),
            squared_norm,
            scale,
        });
        let report = before.map(|before| self.report(before)).transpose()?;
        Ok((self, report))
    }

    /// Waits for the step under way.
    ///
    /// **Errors**: [`FitError::Diverged`].
    pub fn settle(&mut self) -> Result<Option<StepReport>, FitError> {
        let last = self.under_way.take();
        last.map(|last| self.report(last)).transpose()
    }

    /// Starts the clock anew after a pause.
    pub fn restart_clock(&mut self) {
        self.settled_at = Instant::now();
    }

    fn report(&mut self, done: UnderWay<B::InnerBackend>) -> Result<StepReport, FitError> {
        let loss: f32 = done.loss.into_scalar().elem();
        let finite = match done.squared_norm {
            None => loss.is_finite(),
            Some(norm) => {
                let norm: f32 = norm.into_scalar().elem();
                if !norm.is_finite() {
                    self.optimizer.undo();
                }
                self.loss_scale.learn(done.scale, !norm.is_finite())
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

    fn loss(&self, batch: Batch, device: &B::Device) -> Tensor<B, 1> {
        let [n, _, x, y, z] = batch.shape;
        // Uploaded flat, because backends may pad the rows of other tensors.
        let count = batch.images.len();
        let images = Tensor::<B, 1>::from_data(TensorData::new(batch.images, [count]), device)
            .reshape(batch.shape);
        let count = batch.classes.len();
        let classes =
            Tensor::<B, 1, Int>::from_data(TensorData::new(batch.classes, [count]), device)
                .reshape([n, x, y, z]);
        let images = match self.precision {
            Precision::Single => images,
            Precision::Mixed => images.cast(FloatDType::F16),
        };
        deep_supervision(self.network.forward_training(images), classes)
    }
}
