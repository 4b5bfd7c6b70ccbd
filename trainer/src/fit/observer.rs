//! Reports of a training while it runs.

use std::time::Duration;

use vesal_bundle::case_scores::CaseScore;
use vesal_bundle::run_record::Score;

/// The extent of a training, once its cases are loaded.
#[derive(Debug, Clone, PartialEq)]
pub struct Start {
    /// Epochs in all.
    pub num_epochs: usize,
    /// Optimization steps per epoch.
    pub steps_per_epoch: usize,
    /// Cases trained on.
    pub training_cases: usize,
    /// Cases held out.
    pub validation_cases: usize,
    /// Cases in memory; the others are read again whenever they are needed.
    pub kept_cases: usize,
    /// Memory that they take, in bytes.
    pub kept_bytes: u64,
    /// Parameters of the network.
    pub parameters: usize,
    /// Epochs and steps of the next epoch that an earlier call has done; none: a fresh start.
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
    /// Learning rate of the step.
    pub learning_rate: f64,
    /// Wall time of the step, waiting for data included.
    pub duration: Duration,
    /// Time for which its patches were waited for: the device may have had work meanwhile.
    pub data_wait: Duration,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ValidationReport {
    pub score: Score,
    /// The same for every case.
    pub cases: Vec<CaseScore>,
    /// Whether it is the best so far.
    pub best: bool,
    /// Wall time.
    pub duration: Duration,
}

/// Watches a training. Every method does nothing unless it is overridden.
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

    /// A validation case was scored: `done` of `total`; called with 0 before the first.
    fn validating(&mut self, epoch: usize, done: usize, total: usize) {
        let _ = (epoch, done, total);
    }

    fn validated(&mut self, report: &ValidationReport) {
        let _ = report;
    }

    /// A checkpoint was written after `epochs` epochs and `steps` steps of the next.
    fn checkpointed(&mut self, epochs: usize, steps: usize) {
        let _ = (epochs, steps);
    }

    /// Something that the reader should know and that does not stop the training.
    fn warning(&mut self, message: &str) {
        let _ = message;
    }
}

impl FitObserver for () {}
