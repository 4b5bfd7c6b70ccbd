//! Events of a training.

use std::time::Duration;

use vesal_bundle::case_scores::CaseScore;
use vesal_bundle::run_record::Score;

/// Extent of a training, reported once its cases are loaded.
#[derive(Debug, Clone, PartialEq)]
pub struct Start {
    pub num_epochs: usize,
    /// Optimization steps per epoch.
    pub steps_per_epoch: usize,
    /// Number of training cases.
    pub training_cases: usize,
    /// Number of held-out cases.
    pub validation_cases: usize,
    /// Number of cases in memory; the others are read again whenever they are needed.
    pub kept_cases: usize,
    /// Memory of the kept cases in bytes.
    pub kept_bytes: u64,
    /// Number of parameters of the network.
    pub parameters: usize,
    /// Finished epochs, and finished steps of the next epoch, of an earlier call; `None` for a new training.
    pub resumed_after: Option<(usize, usize)>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepReport {
    /// Epoch, from 1.
    pub epoch: usize,
    /// Step in the epoch, from 1.
    pub step: usize,
    /// Loss before the step.
    pub loss: f32,
    pub learning_rate: f64,
    /// Wall time of the step, including the wait for data.
    pub duration: Duration,
    /// Time for which the step waited for its patches; the device may have had work meanwhile.
    pub data_wait: Duration,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ValidationReport {
    pub score: Score,
    /// Scores of every case.
    pub cases: Vec<CaseScore>,
    /// Whether this validation is the best so far.
    pub best: bool,
    pub duration: Duration,
}

/// Receives the events of a training. All methods are no-ops by default.
pub trait FitObserver {
    /// A case was read and preprocessed: `done` of `total`.
    fn loading(&mut self, done: usize, total: usize) {
        let _ = (done, total);
    }

    /// Training begins or resumes.
    fn started(&mut self, start: &Start) {
        let _ = start;
    }

    /// A step was taken.
    fn step(&mut self, report: &StepReport) {
        let _ = report;
    }

    /// A validation case was scored: `done` of `total`; called with 0 before the first case.
    fn validating(&mut self, epoch: usize, done: usize, total: usize) {
        let _ = (epoch, done, total);
    }

    fn validated(&mut self, report: &ValidationReport) {
        let _ = report;
    }

    /// A checkpoint was written after `epochs` epochs and `steps` steps of the next epoch.
    fn checkpointed(&mut self, epochs: usize, steps: usize) {
        let _ = (epochs, steps);
    }

    /// A message that does not stop the training.
    fn warning(&mut self, message: &str) {
        let _ = message;
    }
}

impl FitObserver for () {}
