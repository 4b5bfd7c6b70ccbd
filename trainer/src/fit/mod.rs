//! Training of one fold: from cases and plans to the best weights and a run record.
//!
//! A run directory holds `checkpoint.safetensors` (everything that a later start needs to go on where this one was),
//! `weights.safetensors` (the best weights so far, with their score by case), `metrics.csv` and `validation.csv`, as
//! `events.out.tfevents.*` the same for TensorBoard, and, once finished, `scores.json` and `run.json`. Every file is
//! replaced in one step, so that a killed process leaves none half-written, and
//! starting the same run again resumes it.

mod average;
mod bench;
mod checkpoint;
mod curves;
mod data;
mod data_parallel;
mod device;
pub mod early_stopping;
mod error;
mod events;
mod learner;
mod loss_scale;
mod memory_check;
mod metrics;
mod network;
mod observer;
pub mod optimizer;
mod plans;
mod predict;
mod rank;
mod run_dir;
pub mod schedule;
mod status;
mod tensor_file;
mod training;
mod writer;

pub use bench::{BenchRequest, StepTimes, bench};
pub(crate) use checkpoint::CHECKPOINT_FILE;
pub use curves::{Curves, StepRow, ValidationRow, curves};
pub use device::{DeviceError, TrainDevice, TrainDevices};
pub use error::FitError;
pub use events::EVENTS_PREFIX;
pub use memory_check::{CasesInMemory, MemoryShortfall, Suggestion};
pub use observer::{FitObserver, Start, StepReport, ValidationReport};
pub use predict::{HeldOut, predict_held_out};
pub(crate) use run_dir::occupy;
pub use run_dir::{label_names, scores, worst_first};
pub use status::{Extent, RunStatus, state, status};
pub use tensor_file::TensorFileError;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use burn::backend::Autodiff;
use burn_flex::Flex;
use vesal_bundle::run_record::Score;

use plans::Plans;
use rank::Ranks;
use training::train;

/// One case of a datalist with everything that training reads of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrainingCase {
    /// Name for reports, without identifying content.
    pub id: String,
    /// One file per channel on the first grid, in the plan's channel order; or a single file that holds all of them.
    pub images: Vec<PathBuf>,
    /// Further images, each a channel on a grid of its own, in the plan's channel order.
    pub further: Vec<PathBuf>,
    /// Label map on the grid of `images`.
    pub label: PathBuf,
    /// Fold in which the case is held out for validation.
    pub fold: usize,
}

/// What to train.
#[derive(Debug, Clone)]
pub struct FitRequest {
    /// Where checkpoints, weights, metrics and the run record go; a directory inside the work directory.
    pub run_dir: PathBuf,
    /// Cases of this fold are held out for validation, all others are trained on.
    pub fold: usize,
    /// Cases of all folds.
    pub cases: Vec<TrainingCase>,
    /// `deploy_plan.json`.
    pub deploy_plan_path: PathBuf,
    /// `train_plan.json`.
    pub train_plan_path: PathBuf,
    /// Data stats that the plans came from; the run record names them.
    pub data_stats_path: PathBuf,
    /// Where to compute: on several devices, each takes a share of every step's patches.
    pub devices: TrainDevices,
    /// Memory that preprocessed cases may take, in bytes, none: any amount. The others are read again in every epoch, and
    /// each thread that prepares batches holds one of them for a moment.
    pub max_ram_bytes: Option<u64>,
    /// Set from outside to stop at the next step, after a checkpoint.
    pub stop: Arc<AtomicBool>,
}

/// How a call of [`run`] ended.
#[derive(Debug, Clone, PartialEq)]
pub enum FitOutcome {
    /// All epochs are done and `run.json` is written.
    Finished {
        /// Score of the best weights.
        score: Score,
    },
    /// Stopped on request; the next call goes on here.
    Stopped {
        /// Epoch under way, from 1.
        epoch: usize,
        /// Steps done in it.
        step: usize,
    },
}

/// Trains one fold, or goes on with it where an earlier call stopped.
///
/// A finished run returns its score at once.
///
/// **Errors**: [`FitError`]; what was checkpointed before stays.
pub fn run(request: &FitRequest, observer: &mut dyn FitObserver) -> Result<FitOutcome, FitError> {
    let plans = Plans::read(request)?;
    let _occupied = run_dir::occupy(&request.run_dir)?;
    if let Some(score) = run_dir::find_finished(&request.run_dir, &plans.identity)? {
        return Ok(FitOutcome::Finished { score });
    }
    let earlier = run_dir::find_resume_state(&request.run_dir, &plans.identity)?;
    memory_check::check(request, &plans)?;
    match request.devices.first() {
        name @ TrainDevice::Cpu => {
            let ranks = Ranks::only(name, Default::default());
            train::<Autodiff<Flex>>(request, &plans, earlier, ranks, observer)
        }
        #[cfg(feature = "cuda")]
        TrainDevice::Cuda(_) => {
            let ranks = device::cuda_ranks(&request.devices)?;
            train::<Autodiff<vesal_kernels::cuda::Cuda>>(request, &plans, earlier, ranks, observer)
        }
        #[cfg(not(feature = "cuda"))]
        device @ TrainDevice::Cuda(_) => Err(DeviceError::NotBuilt { device }.into()),
    }
}
