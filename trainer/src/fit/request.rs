//! What a training is asked to do, and how it ends.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use vesal_bundle::run_record::Score;

use crate::dataset::TrainingCase;
use crate::device::TrainDevices;

#[derive(Debug, Clone)]
pub struct FitRequest {
    /// Where checkpoints, weights, metrics and the run record go; a directory inside the work directory.
    pub run_dir: PathBuf,
    /// Cases of this fold are held out for validation, all others are trained on.
    pub fold: usize,
    /// Cases of all folds.
    pub cases: Vec<TrainingCase>,
    pub deploy_plan_path: PathBuf,
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

/// How a call of [`run`](super::run) ended.
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
