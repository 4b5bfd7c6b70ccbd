//! Why a training stops.

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
use crate::train_plan::ControlError;
use crate::validate::ValidateError;

/// Why a training cannot start or go on.
#[derive(Debug, Error)]
pub enum FitError {
    /// The device cannot be used.
    #[error(transparent)]
    Device(#[from] TrainDeviceError),
    /// The system refuses a file.
    #[error("cannot use `{}`", path.display())]
    Io {
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
    /// A file cannot be put in its place.
    #[error(transparent)]
    Write(#[from] AtomicError),
    /// The deploy plan cannot be used.
    #[error("cannot use the deploy plan `{}`", path.display())]
    DeployPlan {
        path: PathBuf,
        /// The rule that it breaks.
        source: PlanError,
    },
    /// The train plan does not follow its format.
    #[error("cannot use the train plan `{}`", path.display())]
    TrainPlan {
        path: PathBuf,
        /// The rule that it breaks.
        source: DocumentError,
    },
    /// The train plan is for an algorithm that is not known.
    #[error("the train plan cannot be used")]
    Algorithm(#[from] UnknownAlgorithm),
    /// The planned network cannot be built.
    #[error("the train plan has an unusable network")]
    Network(#[from] ConfigError),
    /// The two plans contradict each other, or the train plan itself.
    #[error("the train plan has {what} {found}, expected {expected}")]
    Plans {
        what: &'static str,
        found: String,
        /// What it should be.
        expected: String,
    },
    /// The train plan's controls contradict its network or patch.
    #[error("the train plan cannot be used")]
    Controls(#[from] ControlError),
    /// Nothing to train or to validate on.
    #[error(
        "fold {fold} leaves no cases for {purpose}: {held_out} of {total} cases are in this fold"
    )]
    NoCases {
        /// Fold held out.
        fold: usize,
        /// Training or validation.
        purpose: &'static str,
        /// Cases of the fold.
        held_out: usize,
        /// Cases of all folds.
        total: usize,
    },
    /// A case cannot be used.
    #[error(transparent)]
    Case(#[from] CaseLoadError),
    /// The run directory holds another training.
    #[error("run directory `{}` holds a training with another {difference}", run_dir.display())]
    OtherRun {
        run_dir: PathBuf,
        /// What differs: fold, deploy plan, train plan or list of cases.
        difference: &'static str,
    },
    /// A checkpoint or weights file cannot be read or written.
    #[error(transparent)]
    TensorFile(#[from] TensorFileError),
    /// The loss or its gradients are no numbers any more.
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
    /// The network segments next to nothing late in the training.
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
    /// A validation case cannot be scored.
    #[error("cannot score case `{case}` after epoch {epoch}")]
    Validate {
        case: String,
        /// Epoch, from 1.
        epoch: usize,
        source: Box<ValidateError>,
    },
    /// Less memory than the training needs.
    #[error(transparent)]
    Memory(Box<MemoryShortfall>),
    /// More devices than patches.
    #[error("a step has {patches} patches for {devices} devices, expected at least one for each")]
    Shares {
        /// Patches of a step.
        patches: usize,
        /// Devices to share them.
        devices: usize,
    },
    /// Computing on one of several devices failed.
    #[error("the training on `{device}` has ended: {reason}")]
    Replica {
        device: TrainDevice,
        /// What its thread said.
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
    /// Two processes would write the same files.
    #[error("another process trains in `{}`", run_dir.display())]
    Busy { run_dir: PathBuf },
    /// The best weights have gone.
    #[error("`{}` is absent or of another training", path.display())]
    NoWeights { path: PathBuf },
    /// The run record cannot be read or written.
    #[error(transparent)]
    Record(#[from] RunRecordError),
    /// A file lies on another drive than the run directory.
    #[error("`{}` cannot be named relative to `{}`", path.display(), run_dir.display())]
    NotRelative { path: PathBuf, run_dir: PathBuf },
}

impl FitError {
    /// What the reader can do about it.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Memory(shortfall) => return Some(shortfall.suggestion.to_string()),
            Self::Device(error) => error.hint(),
            Self::Write(error) => error.hint(),
            Self::Case(error) => error.hint(),
            Self::DeployPlan { source, .. } => source.hint(),
            Self::Record(error) => error.hint(),
            Self::Controls(error) => error.hint(),
            Self::TrainPlan { .. } | Self::Algorithm(_) | Self::Network(_) | Self::Plans { .. } => {
                Some("plan again")
            }
            Self::NoCases { .. } => {
                Some("assign folds so that each holds out some cases and leaves others")
            }
            Self::OtherRun { .. } => Some(
                "restore what changed to go on with it, or remove the run directory to start over",
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
