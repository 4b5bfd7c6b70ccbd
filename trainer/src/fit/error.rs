//! Errors of a training.

use std::io;
use std::path::PathBuf;

use thiserror::Error;
use vesal_bundle::deploy_plan::PlanError;
use vesal_bundle::run_record::RunRecordError;
use vesal_files::{AtomicError, DocumentError};
use vesal_network::ConfigError;

use super::tensor_file::TensorFileError;
use super::{MemoryShortfall, TrainDevice, TrainDeviceError};
use crate::algorithms::UnknownAlgorithm;
use crate::dataset::CaseLoadError;
use crate::initial_weights::InitialWeightsError;
use crate::train_plan::ControlError;
use crate::validate::ValidateError;

/// Why a training cannot start or continue.
#[derive(Debug, Error)]
pub enum FitError {
    /// The device cannot be used.
    #[error(transparent)]
    Device(#[from] TrainDeviceError),
    #[error("cannot use `{}`", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Write(#[from] AtomicError),
    /// The deploy plan is invalid.
    #[error("cannot use the deploy plan `{}`", path.display())]
    DeployPlan { path: PathBuf, source: PlanError },
    #[error("cannot use the train plan `{}`", path.display())]
    TrainPlan {
        path: PathBuf,
        source: DocumentError,
    },
    /// The train plan names an unknown algorithm.
    #[error("the train plan cannot be used")]
    Algorithm(#[from] UnknownAlgorithm),
    #[error("the train plan has an unusable network")]
    Network(#[from] ConfigError),
    /// The two plans contradict each other, or the train plan contradicts itself.
    #[error("the train plan has {what} {found}, expected {expected}")]
    Plans {
        what: &'static str,
        found: String,
        expected: String,
    },
    /// Settings of the train plan contradict its network or patch.
    #[error("the train plan cannot be used")]
    Controls(#[from] ControlError),
    /// There are no cases for training or none for validation.
    #[error(
        "fold {fold} leaves no cases for {purpose}: {held_out} of {total} cases are in this fold"
    )]
    NoCases {
        fold: usize,
        /// Training or validation.
        purpose: &'static str,
        /// Number of cases in the fold.
        held_out: usize,
        /// Number of cases in all folds.
        total: usize,
    },
    #[error(transparent)]
    Case(#[from] CaseLoadError),
    /// The run directory holds another training.
    #[error("run directory `{}` holds a training with another {difference}", run_dir.display())]
    OtherRun {
        run_dir: PathBuf,
        /// The part that differs: fold, deploy plan, train plan or list of cases.
        difference: &'static str,
    },
    #[error(transparent)]
    TensorFile(#[from] TensorFileError),
    /// The weights to start from cannot be used.
    #[error("cannot start from the weights `{}`", path.display())]
    InitialWeights {
        path: PathBuf,
        source: InitialWeightsError,
    },
    /// The loss or its gradients are not finite.
    #[error(
        "{} at step {step} of epoch {epoch}, expected finite numbers; learning rate {learning_rate:e}",
        divergence(*loss)
    )]
    Diverged {
        /// Epoch, from 1.
        epoch: usize,
        /// Step in the epoch, from 1.
        step: usize,
        loss: f32,
        /// Learning rate of the step.
        learning_rate: f64,
    },
    /// The network still segments almost nothing late in the training.
    #[error(
        "the mean Dice is {dice:.4} after {epoch} of {num_epochs} epochs, expected at least 0.01; learning rate \
         {learning_rate:e}"
    )]
    LowScore {
        /// Epoch, from 1.
        epoch: usize,
        /// Epochs in all.
        num_epochs: usize,
        dice: f64,
        /// Peak learning rate.
        learning_rate: f64,
    },
    #[error("cannot score case `{case}` after epoch {epoch}")]
    Validate {
        case: String,
        /// Epoch, from 1.
        epoch: usize,
        source: Box<ValidateError>,
    },
    /// The training needs more memory than there is.
    #[error(transparent)]
    Memory(Box<MemoryShortfall>),
    /// There are more devices than patches.
    #[error("a step has {patches} patches for {devices} devices, expected at least one for each")]
    Shares {
        /// Patches per step.
        patches: usize,
        devices: usize,
    },
    /// A replica on one of several devices failed.
    #[error("the training on `{device}` has ended: {reason}")]
    Replica {
        device: TrainDevice,
        /// Message of the panic.
        reason: String,
    },
    /// A thread that prepares batches ended early.
    #[error(
        "no batch is ready for step {step} of epoch {epoch}: the thread that prepares it has ended"
    )]
    DataLoader {
        /// Epoch, from 1.
        epoch: usize,
        /// Step in the epoch, from 1.
        step: usize,
    },
    /// Another process trains in the directory.
    #[error("another process trains in `{}`", run_dir.display())]
    Busy { run_dir: PathBuf },
    /// The file of the best weights does not exist.
    #[error("`{}` is absent or of another training", path.display())]
    NoWeights { path: PathBuf },
    #[error(transparent)]
    Record(#[from] RunRecordError),
    /// A file is on another drive than the run directory.
    #[error("`{}` cannot be named relative to `{}`", path.display(), run_dir.display())]
    NotRelative { path: PathBuf, run_dir: PathBuf },
}

impl FitError {
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Memory(shortfall) => return Some(shortfall.suggestion.to_string()),
            Self::Device(error) => error.hint(),
            Self::Write(error) => error.hint(),
            Self::Case(error) => error.hint(),
            Self::DeployPlan { source, .. } => source.hint(),
            Self::InitialWeights { source, .. } => source.hint(),
            Self::Record(error) => error.hint(),
            Self::Controls(error) => error.hint(),
            Self::TrainPlan { .. } | Self::Algorithm(_) | Self::Network(_) | Self::Plans { .. } => {
                Some("plan again")
            }
            Self::NoCases { .. } => {
                Some("assign folds so that each holds out some cases and leaves others")
            }
            Self::OtherRun { .. } => Some(
                "set back with `vesal-train plan --set` what changed since it was started, or remove the run directory to train it again",
            ),
            Self::TensorFile(TensorFileError::Read { .. } | TensorFileError::Write(_)) => None,
            Self::TensorFile(_) | Self::NoWeights { .. } => {
                Some("remove the run directory to start over")
            }
            Self::Busy { .. } => {
                Some("wait for it, or stop it: this command then goes on from there")
            }
            Self::Diverged { .. } => Some(
                "plan with a lower `learning_rate`, or with `clip_grad_norm=1`, then remove the run directory to start over",
            ),
            Self::LowScore { .. } => Some(
                "look at the labels, or plan with a lower `learning_rate` and remove the run directory to start over; to \
                 go on from here all the same, plan with `stop_on_lowacc=false`",
            ),
            Self::NotRelative { .. } => {
                Some("keep plans, data stats and runs in one work directory")
            }
            Self::Shares { .. } => Some("name fewer devices, or plan with more patches per step"),
            Self::Io { .. }
            | Self::Replica { .. }
            | Self::Validate { .. }
            | Self::DataLoader { .. } => None,
        };
        text.map(str::to_owned)
    }
}

fn divergence(loss: f32) -> String {
    if loss.is_finite() {
        return format!("gradients are infinite or not numbers, the loss is {loss},");
    }
    format!("the loss is {loss}")
}
