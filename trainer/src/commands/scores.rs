//! The scores of trained folds.

use vesal_bundle::run_record::{FILE_NAME, RunRecord, Score};
use vesal_cli::{Exit, Failure};
use vesal_models::NetworkConfig;
use vesal_trainer::run_dir::WorkDir;

use super::table;

/// A table of every fold's validation Dice and the means over folds.
pub fn score_table(work: &WorkDir, folds: &[usize]) -> Result<String, Failure> {
    let mut scores = Vec::with_capacity(folds.len());
    for &fold in folds {
        let record: RunRecord<NetworkConfig> = RunRecord::read(&work.run_dir(fold).join(FILE_NAME))
            .map_err(|error| {
                Failure::new(Exit::Bundle, error)
                    .attempting(format!("cannot read the score of fold {fold}"))
            })?;
        scores.push((fold, record.score));
    }
    Ok(render(&scores, work.class_names()))
}

fn render(scores: &[(usize, Score)], labels: &[String]) -> String {
    let mut rows = vec![
        ["fold", "cases", "epoch", "mean Dice"]
            .map(str::to_owned)
            .to_vec(),
    ];
    rows[0].extend(labels.iter().cloned());
    for (fold, score) in scores {
        let mut row = vec![
            fold.to_string(),
            score.cases.to_string(),
            score.epoch.to_string(),
            dice(Some(score.mean_dice)),
        ];
        row.extend(labels.iter().map(|label| dice(of_label(score, label))));
        rows.push(row);
    }
    if scores.len() > 1 {
        let mut row = vec!["mean".to_owned(), String::new(), String::new()];
        row.push(dice(mean(scores.iter().map(|(_, score)| score.mean_dice))));
        row.extend(labels.iter().map(|label| {
            dice(mean(
                scores
                    .iter()
                    .filter_map(|(_, score)| of_label(score, label)),
            ))
        }));
        rows.push(row);
    }
    table(&rows)
}

fn of_label(score: &Score, label: &str) -> Option<f64> {
    score.dice_by_label.get(label).copied().flatten()
}

fn dice(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |dice| format!("{dice:.4}"))
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let values: Vec<f64> = values.collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_that_never_occur_have_no_dice() {
        let score = |a: f64, b: Option<f64>| Score {
            epoch: 3,
            mean_dice: a,
            dice_by_label: [("a".to_owned(), Some(a)), ("b".to_owned(), b)].into(),
            cases: 2,
        };
        let text = render(
            &[(0, score(0.5, None)), (1, score(0.75, Some(0.5)))],
            &["a".to_owned(), "b".to_owned()],
        );
        assert_eq!(
            text,
            "fold  cases  epoch  mean Dice       a       b\n\
             0         2      3     0.5000  0.5000       -\n\
             1         2      3     0.7500  0.7500  0.5000\n\
             mean                   0.6250  0.6250  0.5000\n"
        );
    }
}
