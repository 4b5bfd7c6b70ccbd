//! Progress of a run, from the files of its directory.

use std::path::Path;

use vesal_bundle::case_scores::{self, CaseScores};
use vesal_bundle::run_record;

use super::checkpoint::{CHECKPOINT_FILE, CheckpointHead, Position, WEIGHTS_FILE, WeightsHead};
use super::lock::is_occupied;
use super::metrics::{self, Pace};
use super::tensor_file;
use crate::algorithms::{self, UnknownAlgorithm};
use crate::dataset::Sampler;
use crate::train_plan::TrainPlan;

/// Planned length of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extent {
    pub num_epochs: usize,
    pub steps_per_epoch: usize,
    /// Epochs, from 1, after which the network is validated.
    pub validations: Vec<usize>,
}

impl Extent {
    /// The planned length of a training on `cases` cases.
    ///
    /// **Errors**: [`UnknownAlgorithm`].
    pub fn new(
        plan: &TrainPlan,
        training_cases: usize,
        fold: usize,
    ) -> Result<Self, UnknownAlgorithm> {
        let recipe = &algorithms::find(&plan.algorithm)?.recipe;
        Ok(Self {
            num_epochs: plan.trained_epochs(),
            steps_per_epoch: Sampler::new(training_cases, plan, recipe, fold).steps(),
            validations: (recipe.validations)(plan),
        })
    }

    /// Estimated seconds from a position to the end of all epochs.
    fn seconds_left(&self, done: Position, step_seconds: f64, validation_seconds: f64) -> f64 {
        let all = self.num_epochs * self.steps_per_epoch;
        let steps = all.saturating_sub(done.epochs * self.steps_per_epoch + done.steps);
        let validations = self
            .validations
            .iter()
            .filter(|epoch| **epoch > done.epochs)
            .count();
        steps as f64 * step_seconds + validations as f64 * validation_seconds
    }
}

/// Progress of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct RunStatus {
    pub epoch: usize,
    /// Finished steps of the next epoch.
    pub step: usize,
    pub num_epochs: usize,
    /// Best mean Dice so far.
    pub best_dice: Option<f64>,
    /// Epoch of the best mean Dice, from 1.
    pub best_epoch: Option<usize>,
    /// Whether `run.json` is written.
    pub finished: bool,
    /// Whether a process trains in the directory now.
    pub running: bool,
    /// Recent steps per second.
    pub steps_per_second: Option<f64>,
    /// Estimated seconds to the end of all epochs.
    pub seconds_left: Option<f64>,
}

/// The state of a run in one word.
pub fn state(status: Option<&RunStatus>) -> &'static str {
    match status {
        None => "to do",
        Some(status) if status.running => "running",
        Some(status) if status.finished => "done",
        Some(_) => "stopped",
    }
}

/// Reads the progress of the run in a directory: where it resumes from, or its current position while it runs. `None`
/// if none was started there, or its files cannot be read.
pub fn status(run_dir: &Path, extent: Option<&Extent>) -> Option<RunStatus> {
    let running = is_occupied(run_dir);
    let checkpoint: Option<CheckpointHead> =
        tensor_file::read_head(&run_dir.join(CHECKPOINT_FILE)).ok()?;
    let finished = run_dir.join(run_record::FILE_NAME).is_file();
    if checkpoint.is_none() && !running && !finished {
        return None;
    }
    let weights: Option<WeightsHead> = tensor_file::read_head(&run_dir.join(WEIGHTS_FILE)).ok()?;
    let same = |head: &WeightsHead| match &checkpoint {
        Some(checkpoint) => checkpoint.identity == head.identity,
        None => finished,
    };
    let best = weights.filter(same).map(|head| head.score);
    let pace = metrics::pace(run_dir);
    let (checked, planned) = match &checkpoint {
        Some(head) => (head.position, Some(head.num_epochs)),
        // A finished run may have been copied here without its checkpoint.
        None if finished => {
            let scores = CaseScores::read(&run_dir.join(case_scores::FILE_NAME)).ok()?;
            let epochs = scores.epochs_trained;
            (Position { epochs, steps: 0 }, Some(epochs))
        }
        None => (Position::default(), None),
    };
    let done = match pace {
        Some(pace) if running => later(checked, position(pace, extent)),
        _ => checked,
    };
    let step_seconds = pace
        .map(|pace| pace.step_seconds)
        .filter(|seconds| *seconds > 0.0);
    let left = |(extent, seconds): (&Extent, f64)| {
        let validation_seconds = metrics::validation_seconds(run_dir).unwrap_or(0.0);
        extent.seconds_left(done, seconds, validation_seconds)
    };
    Some(RunStatus {
        epoch: done.epochs,
        step: done.steps,
        num_epochs: planned.or(extent.map(|extent| extent.num_epochs))?,
        best_dice: best.as_ref().map(|score| score.mean_dice),
        best_epoch: best.map(|score| score.epoch),
        finished,
        running,
        steps_per_second: step_seconds.map(f64::recip),
        seconds_left: extent.zip(step_seconds).filter(|_| !finished).map(left),
    })
}

/// The position after the last step of a metrics file.
fn position(pace: Pace, extent: Option<&Extent>) -> Position {
    match extent.is_some_and(|extent| pace.step >= extent.steps_per_epoch) {
        true => Position {
            epochs: pace.epoch,
            steps: 0,
        },
        false => Position {
            epochs: pace.epoch.saturating_sub(1),
            steps: pace.step,
        },
    }
}

fn later(a: Position, b: Position) -> Position {
    if (a.epochs, a.steps) >= (b.epochs, b.steps) {
        a
    } else {
        b
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_are_steps_and_validations() {
        let extent = Extent {
            num_epochs: 10,
            steps_per_epoch: 4,
            validations: vec![5, 9, 10],
        };
        let at = |epochs, steps| extent.seconds_left(Position { epochs, steps }, 0.5, 3.0);
        assert_eq!(at(0, 0), 40.0 * 0.5 + 9.0);
        assert_eq!(at(5, 1), 19.0 * 0.5 + 6.0);
        assert_eq!(at(10, 0), 0.0);
    }
}
