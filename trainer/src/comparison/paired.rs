//! Two algorithms on the cases that both have scores of.

use std::collections::BTreeMap;

use serde::Serialize;

use super::summary::{deviation, mean};
use crate::fit::RunScores;

/// The 97.5 % quantile of the normal distribution.
const NORMAL: f64 = 1.959_963_984_540_054;

/// Difference of two algorithms' Dice, case by case.
///
/// **Definition**: a case counts with the mean Dice over its labels. The interval is the 95 % confidence interval of the
/// mean difference by Student's t distribution. Cases of a fold are predicted by one network, and are not quite
/// independent: what further trainings would give varies more than the interval says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PairedDifference {
    pub algorithm: String,
    /// The algorithm whose Dice is subtracted.
    pub against: String,
    /// Cases that both have scores of.
    pub cases: usize,
    /// Cases in which the Dice is higher.
    pub better: usize,
    pub mean: f64,
    /// Ends of the interval; `None` of a single case.
    pub interval: Option<[f64; 2]>,
}

impl PairedDifference {
    /// The first of these algorithms against the second; `None` where they share no case.
    pub fn between(algorithms: [&str; 2], scores: &[RunScores]) -> Option<Self> {
        let [own, others] = algorithms.map(|algorithm| {
            let runs = scores.iter().filter(|run| run.run.algorithm == algorithm);
            let cases = runs.flat_map(|run| &run.scores.cases);
            let cases = cases.filter_map(|case| Some((case.case.as_str(), case.mean_dice()?)));
            cases.collect::<BTreeMap<&str, f64>>()
        });
        let differences: Vec<f64> = own
            .iter()
            .filter_map(|(case, dice)| Some(dice - others.get(case)?))
            .collect();
        if differences.is_empty() {
            return None;
        }
        let (cases, center) = (differences.len(), mean(&differences));
        let interval = deviation(&differences).map(|deviation| {
            let half = student_quantile(cases - 1) * deviation / (cases as f64).sqrt();
            [center - half, center + half]
        });
        let [algorithm, against] = algorithms.map(str::to_owned);
        Some(Self {
            algorithm,
            against,
            cases,
            better: differences.iter().filter(|&&gain| gain > 0.0).count(),
            mean: center,
            interval,
        })
    }
}

/// The 97.5 % quantile of Student's t distribution, to 0.2 %.
///
/// **Source**: Abramowitz and Stegun, 26.7.5; one and two degrees of freedom in closed form.
fn student_quantile(freedom: usize) -> f64 {
    let square = NORMAL * NORMAL;
    let terms = [
        (square + 1.0) / 4.0,
        (5.0 * square.powi(2) + 16.0 * square + 3.0) / 96.0,
        (3.0 * square.powi(3) + 19.0 * square.powi(2) + 17.0 * square - 15.0) / 384.0,
        (79.0 * square.powi(4) + 776.0 * square.powi(3) + 1482.0 * square.powi(2)
            - 1920.0 * square
            - 945.0)
            / 92160.0,
    ];
    match freedom {
        0 | 1 => (0.475 * std::f64::consts::PI).tan(),
        2 => 0.95 * (2.0 / (1.0 - 0.95 * 0.95_f64)).sqrt(),
        _ => {
            let share = 1.0 / freedom as f64;
            let sum = terms
                .iter()
                .rev()
                .fold(0.0, |sum, term| (sum + term) * share);
            NORMAL * (1.0 + sum)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_tables() {
        for (freedom, expected) in [
            (1, 12.706),
            (2, 4.303),
            (3, 3.182),
            (4, 2.776),
            (9, 2.262),
            (40, 2.021),
        ] {
            let found = student_quantile(freedom);
            assert!((found / expected - 1.0).abs() < 2e-3, "{freedom}: {found}");
        }
    }
}
