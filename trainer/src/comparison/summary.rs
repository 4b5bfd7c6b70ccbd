//! One algorithm over its folds.

use serde::Serialize;
use vesal_bundle::case_scores::{CaseScore, MeanScore};

use crate::fit::RunScores;

/// How far an algorithm was trained.
#[derive(Debug, Clone, PartialEq)]
pub struct AlgorithmProgress {
    pub algorithm: String,
    /// Folds to train.
    pub folds: usize,
    pub folds_done: usize,
    /// Sum over folds.
    pub epochs: usize,
    /// Duration of all steps and validations.
    pub seconds: f64,
}

/// AlgorithmProgress and scores of an algorithm.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AlgorithmSummary {
    pub algorithm: String,
    /// Folds to train.
    pub folds: usize,
    pub folds_done: usize,
    /// Trained epochs, summed over folds.
    pub epochs: usize,
    /// Hours of all steps and validations.
    pub hours: f64,
    /// Mean over folds of a fold's mean Dice; `None` without scores.
    pub mean_over_folds: Option<f64>,
    /// Sample standard deviation of the same; `None` where fewer than two folds have scores.
    pub deviation_over_folds: Option<f64>,
    /// Score over the cases of all folds; `None` without scores.
    pub out_of_fold: Option<MeanScore>,
}

impl AlgorithmSummary {
    /// Summarizes those of these scores that are of the algorithm.
    pub fn new(progress: AlgorithmProgress, scores: &[RunScores]) -> Self {
        let AlgorithmProgress {
            algorithm,
            folds,
            folds_done,
            epochs,
            seconds,
        } = progress;
        let own: Vec<&RunScores> = scores
            .iter()
            .filter(|run| run.run.algorithm == algorithm)
            .collect();
        let of_folds: Vec<f64> = own
            .iter()
            .map(|run| MeanScore::over(&run.scores.cases).mean_dice)
            .collect();
        let cases: Vec<&CaseScore> = own.iter().flat_map(|run| &run.scores.cases).collect();
        Self {
            algorithm,
            folds,
            folds_done,
            epochs,
            hours: seconds / 3600.0,
            mean_over_folds: (!of_folds.is_empty()).then(|| mean(&of_folds)),
            deviation_over_folds: deviation(&of_folds),
            out_of_fold: (!cases.is_empty()).then(|| MeanScore::over(cases)),
        }
    }
}

/// The mean of at least one value.
pub(super) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The sample standard deviation; `None` of fewer than two values.
pub(super) fn deviation(values: &[f64]) -> Option<f64> {
    let freedom = values.len().checked_sub(1).filter(|&freedom| freedom > 0)?;
    let center = mean(values);
    let squares = values.iter().map(|value| (value - center).powi(2));
    Some((squares.sum::<f64>() / freedom as f64).sqrt())
}
