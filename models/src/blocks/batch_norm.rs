//! Batch normalization.

use burn::module::{Initializer, Module, Param};
use burn::tensor::{Tensor, backend::Backend};
use vesal_kernels::{BatchNormSettings, DifferentiableOps, Nonlinearity};

use super::RunningStatistic;

/// Normalizes each channel over all cases and space, then scales and shifts it with learned weights.
///
/// An autodiff backend normalizes by the mean and the population variance of the batch and updates the running
/// statistics; any other backend normalizes by these.
///
/// **Definition**: `y = weight (x - mean) / sqrt(var + epsilon) + bias`, epsilon 1e-5;
/// `running ← 0.9 running + 0.1 batch`, with the sample variance of the batch.
///
/// **Source**: Ioffe & Szegedy 2015; names as in PyTorch's `BatchNorm3d`, whose `num_batches_tracked` is not stored,
/// because it matters only without momentum. On several devices, each replica has the statistics of its own patches,
/// and those of the first are kept (PyTorch's `BatchNorm3d` under `DistributedDataParallel`, not its `SyncBatchNorm`).
#[derive(Module, Debug)]
pub struct BatchNorm<B: Backend> {
    /// Scale, `[C]`.
    pub weight: Param<Tensor<B, 1>>,
    /// Shift, `[C]`.
    pub bias: Param<Tensor<B, 1>>,
    /// Running mean, `[C]`.
    pub running_mean: RunningStatistic<B>,
    /// Running variance, `[C]`.
    pub running_var: RunningStatistic<B>,
    /// Added to the variance.
    pub epsilon: f64,
    /// Share of a batch in the running statistics.
    pub momentum: f64,
}

impl<B: Backend> BatchNorm<B> {
    /// A normalization of this many channels: scale 1, shift 0, running mean 0, running variance 1.
    pub fn new(channels: usize, device: &B::Device) -> Self {
        Self {
            weight: Initializer::Ones.init([channels], device),
            bias: Initializer::Zeros.init([channels], device),
            running_mean: RunningStatistic::new(Tensor::zeros([channels], device)),
            running_var: RunningStatistic::new(Tensor::ones([channels], device)),
            epsilon: 1e-5,
            momentum: 0.1,
        }
    }

    /// Normalizes, and applies the nonlinearity.
    ///
    /// **Shapes**: `[N, X, Y, Z, C]` → the same.
    pub fn forward(&self, x: Tensor<B, 5>, nonlinearity: Nonlinearity) -> Tensor<B, 5>
    where
        B: DifferentiableOps,
    {
        let running = [self.running_mean.value(), self.running_var.value()];
        let settings = BatchNormSettings {
            epsilon: self.epsilon as f32,
            momentum: self.momentum as f32,
        };
        let (weight, bias) = (self.weight.val(), self.bias.val());
        let (output, [mean, variance]) =
            vesal_kernels::batch_norm(x, weight, bias, running, settings, nonlinearity);
        self.running_mean.update(mean);
        self.running_var.update(variance);
        output
    }
}
