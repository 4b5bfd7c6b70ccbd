//! Choice of the runs for an ensemble.

mod best;
mod file;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::str::FromStr;

use thiserror::Error;
use vesal_bundle::case_scores::MeanScore;
use vesal_bundle::manifest::{EnsembleRecord, Selection, SelectionRule};
use vesal_volume::postprocess::Combine;

pub(crate) use self::best::folds_of_different_cases;
use self::best::{best_of_fold, dice};
use crate::runs::{Run, RunsError};

pub use file::EnsembleFileError;

/// Prefix of the choice of the N best runs.
const BEST_N: &str = "best-n:";

/// Which runs to take.
///
/// **Source**: Auto3DSeg's `AlgoEnsembleBestByFold` and `AlgoEnsembleBestN`; there, a fold without a run becomes `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum RunChoice {
    /// The best run of each fold.
    #[default]
    BestByFold,
    /// The N best runs.
    BestN(usize),
    All,
    /// Runs that a file lists.
    File(PathBuf),
}

impl RunChoice {
    /// Whether runs of one fold are compared by their mean Dice.
    pub(crate) fn compares_scores(&self) -> bool {
        match self {
            Self::BestByFold | Self::BestN(_) | Self::File(_) => true,
            Self::All => false,
        }
    }
}

impl FromStr for RunChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let lowercase = text.to_ascii_lowercase();
        match (text, text.strip_prefix(BEST_N)) {
            ("best-by-fold", _) => Ok(Self::BestByFold),
            ("all", _) => Ok(Self::All),
            (_, Some(count)) => match count.parse() {
                Ok(count) if count > 0 => Ok(Self::BestN(count)),
                _ => Err(format!(
                    "expected a number of runs from 1, as in `{BEST_N}5`"
                )),
            },
            _ if lowercase.ends_with(".yaml") || lowercase.ends_with(".yml") => {
                Ok(Self::File(text.into()))
            }
            _ => Err(format!(
                "expected `best-by-fold`, `{BEST_N}N`, `all`, or a file that ends with `.yaml`"
            )),
        }
    }
}

/// Options for choosing and combining runs of a work directory.
#[derive(Debug, Clone, Default)]
pub struct SelectionOptions {
    /// Which runs to take.
    pub choice: RunChoice,
    /// Folds to choose from; by default those that the work directory is to train.
    pub folds: Option<Vec<usize>>,
    /// Whether folds without a finished run are left out.
    pub allow_missing_folds: bool,
    /// How the members' predictions are combined; by default as in the file, or by the mean.
    pub combine: Option<Combine>,
}

/// Why no runs can be chosen.
#[derive(Debug, Error)]
pub enum SelectionError {
    /// Folds without a finished run.
    #[error("{} no finished run; finished are {finished:?}", folds(missing))]
    MissingFolds {
        missing: Vec<usize>,
        finished: Vec<usize>,
    },
    /// Fewer runs than asked for.
    #[error("{found} runs are finished, expected at least the {expected} of `{BEST_N}{expected}`")]
    TooFew { found: usize, expected: usize },
    #[error("cannot use the ensemble file `{}`", path.display())]
    File {
        path: PathBuf,
        source: EnsembleFileError,
    },
}

impl SelectionError {
    /// A remedy for the user, if there is one.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::MissingFolds { finished, .. } if finished.is_empty() => {
                Some("`vesal-train status --work-dir DIR` shows what is trained")
            }
            Self::MissingFolds { .. } => Some(
                "train them with `vesal-train auto --work-dir DIR`, or go on without them with `--allow-missing-folds`",
            ),
            Self::TooFew { .. } => Some("ask for fewer, or for `all`"),
            Self::File { source, .. } => source.hint(),
        }
    }
}

fn folds(missing: &[usize]) -> String {
    match missing {
        [fold] => format!("fold {fold} has"),
        folds => format!("folds {folds:?} have"),
    }
}

/// Runs with their weights, and the reason for the choice.
#[derive(Debug)]
pub(crate) struct Selected {
    pub members: Vec<(Run, f64)>,
    pub combine: Combine,
    pub selection: Selection,
}

/// Chooses among finished runs, which are sorted by fold and name; `to_train` are the folds of the work directory.
///
/// **Errors**: [`SelectionError`].
pub(crate) fn select(
    mut runs: Vec<Run>,
    to_train: Option<Vec<usize>>,
    options: &SelectionOptions,
) -> Result<Selected, SelectionError> {
    if let Some(folds) = &options.folds {
        runs.retain(|run| folds.contains(&run.record.fold));
    }
    let finished: BTreeSet<usize> = runs.iter().map(|run| run.record.fold).collect();
    let wanted = options.folds.clone().or(to_train).unwrap_or_default();
    let wanted: BTreeSet<usize> = wanted.into_iter().collect();
    let missing: Vec<usize> = wanted.difference(&finished).copied().collect();
    let by_name = matches!(options.choice, RunChoice::File(_));
    if runs.is_empty() || !(missing.is_empty() || by_name || options.allow_missing_folds) {
        return Err(SelectionError::MissingFolds {
            missing,
            finished: finished.into_iter().collect(),
        });
    }
    let total = runs.len();
    let mut combine = Combine::default();
    let (rule, reason, members) = match &options.choice {
        RunChoice::BestByFold => {
            let best: Vec<_> = finished
                .iter()
                .filter_map(|&fold| best_of_fold(&runs, fold))
                .collect();
            let reason = format!(
                "the best run of each of {} folds by mean Dice, of {total} runs",
                best.len()
            );
            (SelectionRule::BestByFold, reason, alike(best))
        }
        &RunChoice::BestN(count) => {
            if count > total {
                return Err(SelectionError::TooFew {
                    found: total,
                    expected: count,
                });
            }
            let mut places: Vec<usize> = (0..total).collect();
            // Stable: of equals, lower folds come first.
            places.sort_by(|&a, &b| dice(&runs[b]).total_cmp(&dice(&runs[a])));
            places.truncate(count);
            places.sort_unstable();
            let best = places.into_iter().map(|place| runs[place].clone());
            let reason = format!("the {count} best of {total} runs by mean Dice");
            (SelectionRule::BestN, reason, alike(best.collect()))
        }
        RunChoice::All => {
            let reason = format!("all {total} finished runs");
            (SelectionRule::All, reason, alike(runs))
        }
        RunChoice::File(path) => {
            let listed = file::read(path, &runs).map_err(|source| SelectionError::File {
                path: path.clone(),
                source,
            })?;
            combine = listed.combine;
            let count = listed.members.len();
            let reason = format!("the {count} of {total} runs that a file lists");
            (SelectionRule::Custom, reason, listed.members)
        }
    };
    Ok(Selected {
        members,
        combine: options.combine.unwrap_or(combine),
        selection: Selection {
            rule,
            reason,
            missing_folds: if by_name { Vec::new() } else { missing },
        },
    })
}

impl Selected {
    /// The record for the manifest.
    ///
    /// **Definition**: the ensemble's score is the mean over cases of which exactly one member did not train on each,
    /// namely the run that held it out; there is none where several runs of one fold share their cases, because no
    /// single member's score describes their combination.
    ///
    /// **Errors**: scores of a run that are unreadable, or changed after its training.
    pub fn record(&self) -> Result<EnsembleRecord, RunsError> {
        let scores: Option<Vec<_>> = self
            .members
            .iter()
            .map(|(run, _)| run.scores())
            .collect::<Result<_, _>>()?;
        let cases: Vec<_> = scores
            .into_iter()
            .flatten()
            .flat_map(|scores| scores.cases)
            .collect();
        let names: BTreeSet<&str> = cases.iter().map(|case| case.case.as_str()).collect();
        let once = !cases.is_empty() && names.len() == cases.len();
        Ok(EnsembleRecord {
            combine: self.combine,
            selection: self.selection.clone(),
            out_of_fold: once.then(|| MeanScore::over(&cases)),
        })
    }
}

fn alike(runs: Vec<Run>) -> Vec<(Run, f64)> {
    runs.into_iter().map(|run| (run, 1.0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_have_names() {
        assert_eq!("best-by-fold".parse(), Ok(RunChoice::BestByFold));
        assert_eq!("best-n:5".parse(), Ok(RunChoice::BestN(5)));
        assert_eq!("all".parse(), Ok(RunChoice::All));
        let file = RunChoice::File("a/b.YAML".into());
        assert_eq!("a/b.YAML".parse(), Ok(file));
        for wrong in ["best-n:0", "best-n:", "best-n", "best", "-1"] {
            assert!(RunChoice::from_str(wrong).is_err(), "{wrong}");
        }
    }
}
