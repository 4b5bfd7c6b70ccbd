//! Algorithms of a work directory compared: their scores over folds, and their differences case by case.

mod paired;
mod summary;

pub use paired::PairedDifference;
pub use summary::{AlgorithmProgress, AlgorithmSummary};

use std::collections::BTreeSet;

use crate::fit::{self, RunScores};
use crate::work_dir::WorkDir;

#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// In the order of the registry.
    pub algorithms: Vec<AlgorithmSummary>,
    /// Of every pair with cases that both have scores of: the later one minus the earlier one.
    pub differences: Vec<PairedDifference>,
    /// Whether all algorithms with scores have them of the same cases.
    pub same_cases: bool,
}

impl Comparison {
    /// Compares the reported algorithms of a work directory by these scores.
    pub fn of_work_dir(work: &WorkDir, scores: &[RunScores]) -> Self {
        let progress = work.algorithms().into_iter().map(|algorithm| {
            let runs = work.runs_of(&[algorithm], work.folds());
            let statuses = runs.iter().filter_map(|run| work.run_status(run));
            let (mut folds_done, mut epochs) = (0, 0);
            for status in statuses {
                folds_done += usize::from(status.finished);
                epochs += status.epoch;
            }
            let seconds = runs
                .iter()
                .map(|run| fit::trained_seconds(&work.run_dir(run)));
            AlgorithmProgress {
                algorithm: algorithm.name.to_owned(),
                folds: runs.len(),
                folds_done,
                epochs,
                seconds: seconds.sum(),
            }
        });
        Self::new(progress, scores)
    }

    pub fn new(
        progress: impl IntoIterator<Item = AlgorithmProgress>,
        scores: &[RunScores],
    ) -> Self {
        let algorithms: Vec<_> = progress
            .into_iter()
            .map(|progress| AlgorithmSummary::new(progress, scores))
            .collect();
        let mut differences = Vec::new();
        for (index, later) in algorithms.iter().enumerate() {
            for earlier in &algorithms[..index] {
                let pair = [later.algorithm.as_str(), earlier.algorithm.as_str()];
                differences.extend(PairedDifference::between(pair, scores));
            }
        }
        let mut cases: Vec<BTreeSet<&str>> = Vec::new();
        for AlgorithmSummary { algorithm, .. } in &algorithms {
            let own = scores.iter().filter(|run| run.run.algorithm == *algorithm);
            let own = own.flat_map(|run| &run.scores.cases);
            cases.push(own.map(|case| case.case.as_str()).collect());
        }
        cases.retain(|cases| !cases.is_empty());
        Self {
            algorithms,
            differences,
            same_cases: cases.windows(2).all(|pair| pair[0] == pair[1]),
        }
    }

    pub fn has_several_algorithms(&self) -> bool {
        self.algorithms.len() > 1
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use vesal_bundle::case_scores::{CaseScore, CaseScores, LabelScore};
    use vesal_bundle::work_dir::RunId;

    use super::*;

    fn scores(algorithm: &str, fold: usize, cases: &[(&str, f64)]) -> RunScores {
        let case = |(case, dice): &(&str, f64)| CaseScore {
            case: (*case).to_owned(),
            labels: BTreeMap::from([(
                "a".to_owned(),
                LabelScore {
                    dice: Some(*dice),
                    truth_ml: 1.0,
                    prediction_ml: 1.0,
                },
            )]),
        };
        RunScores {
            run: RunId::new(algorithm, fold),
            scores: CaseScores {
                fold,
                epoch: 1,
                epochs_trained: 1,
                cases: cases.iter().map(case).collect(),
            },
        }
    }

    fn progress(algorithm: &str) -> AlgorithmProgress {
        AlgorithmProgress {
            algorithm: algorithm.to_owned(),
            folds: 3,
            folds_done: 2,
            epochs: 20,
            seconds: 1800.0,
        }
    }

    #[test]
    fn folds_are_averaged_and_cases_are_paired() {
        let scores = [
            scores("one", 0, &[("p", 0.5), ("q", 0.75)]),
            scores("one", 1, &[("r", 0.875)]),
            scores("two", 0, &[("p", 0.75), ("q", 0.75)]),
        ];
        let found = Comparison::new(["one", "two", "three"].map(progress), &scores);
        let [one, two, three] = &found.algorithms[..] else {
            panic!("{found:?}")
        };
        assert_eq!((one.folds, one.folds_done, one.epochs), (3, 2, 20));
        assert_eq!(one.hours, 0.5);
        assert_eq!(one.mean_over_folds, Some(0.75));
        assert_eq!(one.deviation_over_folds, Some(0.125 * 2f64.sqrt()));
        assert_eq!(two.deviation_over_folds, None);
        assert_eq!(one.out_of_fold.as_ref().unwrap().cases, 3);
        assert_eq!((three.mean_over_folds, &three.out_of_fold), (None, &None));
        assert!(!found.same_cases);
        let [difference] = &found.differences[..] else {
            panic!("{found:?}")
        };
        assert_eq!(difference.algorithm, "two");
        assert_eq!(difference.against, "one");
        assert_eq!((difference.cases, difference.better), (2, 1));
        assert_eq!(difference.mean, 0.125);

        let found = Comparison::new(["one", "two"].map(progress), &scores[..1]);
        assert!(found.same_cases && found.differences.is_empty());
    }
}
