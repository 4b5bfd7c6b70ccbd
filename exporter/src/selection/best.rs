//! Ranking of runs.

use crate::runs::Run;

/// The run of highest mean Dice of a fold; of equals, the first by name.
pub(super) fn best_of_fold(runs: &[Run], fold: usize) -> Option<Run> {
    let of_fold = runs.iter().filter(|run| run.record.fold == fold);
    of_fold
        .rev()
        .max_by(|a, b| dice(a).total_cmp(&dice(b)))
        .cloned()
}

pub(super) fn dice(run: &Run) -> f64 {
    run.record.score.mean_dice
}
