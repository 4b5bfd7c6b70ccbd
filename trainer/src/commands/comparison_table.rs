//! Tables that compare algorithms.

use vesal_cli::{Columns, Text};
use vesal_trainer::comparison::{AlgorithmSummary, Comparison, PairedDifference};

use super::score_table::dice;

/// A row per algorithm, with the Dice of these labels, and a row per pair of algorithms with cases in common.
pub fn comparison_table(comparison: &Comparison, labels: &[String]) -> Text {
    let header = ["algorithm", "folds", "mean Dice", "deviation"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    rows[0].extend(labels.iter().cloned());
    rows[0].extend(["epochs", "hours"].map(str::to_owned));
    for summary in &comparison.algorithms {
        let AlgorithmSummary {
            algorithm,
            folds,
            folds_done,
            epochs,
            hours,
            mean_over_folds,
            deviation_over_folds,
            out_of_fold,
        } = summary;
        let mut row = vec![
            algorithm.clone(),
            format!("{folds_done}/{folds}"),
            dice(*mean_over_folds),
            dice(*deviation_over_folds),
        ];
        let of_label = |label| *out_of_fold.as_ref()?.dice_by_label.get(label)?;
        row.extend(labels.iter().map(|label| dice(of_label(label))));
        row.extend([epochs.to_string(), format!("{hours:.2}")]);
        rows.push(row);
    }
    let mut text = Text::new();
    text.columns(&rows, Columns::Numbers);
    if !comparison.differences.is_empty() {
        let header = [
            "algorithm",
            "against",
            "cases",
            "better in",
            "difference",
            "95 % from",
            "to",
        ];
        let mut rows = vec![header.map(str::to_owned).to_vec()];
        rows.extend(comparison.differences.iter().map(difference_row));
        text.blank().columns(&rows, Columns::Numbers);
    }
    if !comparison.same_cases {
        text.line(
            "the algorithms have scores of different cases: only the differences are of the same",
        );
    }
    text
}

fn difference_row(difference: &PairedDifference) -> Vec<String> {
    let PairedDifference {
        algorithm,
        against,
        cases,
        better,
        mean,
        interval,
    } = difference;
    let signed = |value: f64| format!("{value:+.4}");
    let end = |index: usize| interval.map_or_else(|| "-".to_owned(), |ends| signed(ends[index]));
    vec![
        algorithm.clone(),
        against.clone(),
        cases.to_string(),
        better.to_string(),
        signed(*mean),
        end(0),
        end(1),
    ]
}

#[cfg(test)]
mod tests {
    use vesal_bundle::case_scores::MeanScore;

    use super::*;

    fn summary(algorithm: &str, mean: Option<f64>) -> AlgorithmSummary {
        AlgorithmSummary {
            algorithm: algorithm.to_owned(),
            folds: 5,
            folds_done: 2,
            epochs: 600,
            hours: 3.456,
            mean_over_folds: mean,
            deviation_over_folds: mean.map(|_| 0.03125),
            out_of_fold: mean.map(|mean_dice| MeanScore {
                mean_dice,
                dice_by_label: [("a".to_owned(), Some(mean_dice)), ("b".to_owned(), None)].into(),
                cases: 9,
            }),
        }
    }

    #[test]
    fn algorithms_and_pairs_have_a_row_each() {
        let comparison = Comparison {
            algorithms: vec![summary("one", Some(0.75)), summary("three", None)],
            differences: vec![PairedDifference {
                algorithm: "two".to_owned(),
                against: "one".to_owned(),
                cases: 9,
                better: 6,
                mean: 0.0125,
                interval: Some([-0.01, 0.035]),
            }],
            same_cases: false,
        };
        let labels = ["a".to_owned(), "b".to_owned()];
        assert_eq!(
            comparison_table(&comparison, &labels).as_str(),
            "algorithm  folds  mean Dice  deviation       a  b  epochs  hours\n\
             one          2/5     0.7500     0.0312  0.7500  -     600   3.46\n\
             three        2/5          -          -       -  -     600   3.46\n\
             \n\
             algorithm  against  cases  better in  difference  95 % from       to\n\
             two            one      9          6     +0.0125    -0.0100  +0.0350\n\
             the algorithms have scores of different cases: only the differences are of the same\n"
        );
    }
}
