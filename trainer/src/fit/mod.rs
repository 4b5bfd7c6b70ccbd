//! Training of one fold: from cases and plans to the best weights and a run record.
//!
//! A run directory contains `checkpoint.safetensors` (the state to resume from), `weights.safetensors` (the best
//! weights so far, with their scores by case), `metrics.csv` and `validation.csv`, the same values for TensorBoard in
//! `events.out.tfevents.*`, and, once finished, `scores.json` and `run.json`. Tensor files and records are replaced
//! atomically, so that a killed process leaves no incomplete ones, and starting the same run again resumes it.

mod average;
mod bench;
mod checkpoint;
#[cfg(feature = "cuda")]
mod cuda_ranks;
mod curves;
mod data;
mod data_parallel;
pub mod early_stopping;
mod error;
mod events;
mod initial_weights;
mod learner;
mod lock;
mod loss_scale;
mod memory_check;
mod memory_shortfall;
mod metrics;
mod network;
mod observer;
pub mod optimizer;
mod plans;
mod predict;
mod rank;
mod request;
mod run_dir;
mod status;
mod tensor_file;
mod training;
mod writer;

pub use crate::device::{TrainDevice, TrainDeviceError, TrainDevices};
pub use crate::initial_weights::InitialWeightsError;
pub use bench::{BenchRequest, StepTimes, bench};
pub(crate) use checkpoint::CHECKPOINT_FILE;
pub use curves::{Curves, StepRow, ValidationRow, curves, trained_seconds};
pub use error::FitError;
pub use events::EVENTS_PREFIX;
pub(crate) use lock::occupy;
pub use memory_shortfall::{CasesInMemory, MemoryShortfall, Suggestion};
pub use observer::{FitObserver, Start, StepReport, ValidationReport};
pub use predict::{HeldOut, predict_held_out};
pub use request::{FitOutcome, FitRequest};
pub use run_dir::{RunScores, label_names, scores, worst_first};
pub use status::{Extent, RunStatus, state, status};
pub use tensor_file::TensorFileError;

use burn::backend::Autodiff;
use burn_flex::Flex;

use plans::Plans;
use rank::Ranks;
use training::train;

/// Checks that the run directory of a request holds no other training, so that [`run`] can start or resume it.
///
/// **Errors**: unreadable plans, and [`FitError::OtherRun`].
pub fn check(request: &FitRequest) -> Result<(), FitError> {
    let plans = Plans::read(request)?;
    run_dir::check_identity(&request.run_dir, &plans.identity)
}

/// Trains one fold, or resumes its training where an earlier call stopped.
///
/// For a finished run, it returns the score immediately.
///
/// **Errors**: [`FitError`]; checkpoints are kept.
pub fn run(request: &FitRequest, observer: &mut dyn FitObserver) -> Result<FitOutcome, FitError> {
    let plans = Plans::read(request)?;
    let _occupied = lock::occupy(&request.run_dir)?;
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
            let ranks = cuda_ranks::cuda_ranks(&request.devices)?;
            train::<Autodiff<vesal_kernels::cuda::Cuda>>(request, &plans, earlier, ranks, observer)
        }
        #[cfg(not(feature = "cuda"))]
        device @ TrainDevice::Cuda(_) => Err(TrainDeviceError::NotBuilt { device }.into()),
    }
}
