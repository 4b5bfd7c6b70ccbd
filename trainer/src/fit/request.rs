//! Input of a training, and how it ends.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use vesal_bundle::run_record::Score;

use crate::dataset::TrainingCase;
use crate::device::TrainDevices;

#[derive(Debug, Clone)]
pub struct FitRequest {
    /// Directory inside of the work directory for checkpoints, weights, metrics and the run record.
    pub run_dir: PathBuf,
    /// Cases of this fold are held out for validation; all others are trained on.
    pub fold: usize,
    /// Cases of all folds.
    pub cases: Vec<TrainingCase>,
    pub deploy_plan_path: PathBuf,
    pub train_plan_path: PathBuf,
    /// File of the data stats that the plans were made from; the run record names it.
    pub data_stats_path: PathBuf,
    /// On several devices, each takes a share of every step's patches.
    pub devices: TrainDevices,
    /// Limit in bytes for preprocessed cases in memory; `None`: no limit. The others are read again in every epoch, and
    /// each thread that prepares batches holds the cases of a step at a time, or of two steps where patches are mixed.
    pub max_ram_bytes: Option<u64>,
    /// Set from outside to stop at the next step, after a checkpoint.
    pub stop: Arc<AtomicBool>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum FitOutcome {
    /// All epochs are done and `run.json` is written.
    Finished { score: Score },
    /// Stopped on request; the next call resumes here.
    Stopped {
        /// Current epoch, from 1.
        epoch: usize,
        /// Finished steps of the epoch.
        step: usize,
    },
}
