//! Ranking of runs.

use std::collections::{BTreeMap, BTreeSet};

use crate::runs::{Run, RunsError};

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

/// Folds of which runs were scored on different cases, so that their mean Dice cannot be compared. Runs without scores by
/// case tell nothing.
///
/// **Errors**: scores of a run that are unreadable, or changed after its training.
pub(crate) fn folds_of_different_cases<'a>(
    runs: impl IntoIterator<Item = &'a Run>,
) -> Result<Vec<usize>, RunsError> {
    let mut of_folds: BTreeMap<usize, Vec<&Run>> = BTreeMap::new();
    for run in runs {
        of_folds.entry(run.record.fold).or_default().push(run);
    }
    of_folds.retain(|_, runs| runs.len() > 1);
    let mut different = Vec::new();
    for (fold, runs) in of_folds {
        let mut lists: BTreeSet<Vec<String>> = BTreeSet::new();
        for run in runs {
            if let Some(scores) = run.scores()? {
                let cases = scores.cases.into_iter().map(|case| case.case);
                let mut cases: Vec<String> = cases.collect();
                cases.sort_unstable();
                lists.insert(cases);
            }
        }
        if lists.len() > 1 {
            different.push(fold);
        }
    }
    Ok(different)
}
