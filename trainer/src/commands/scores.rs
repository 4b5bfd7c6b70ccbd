//! `vesal-train scores`: how well cases were predicted that a training did not see.

use std::collections::BTreeMap;

use serde_json::json;
use vesal_bundle::case_scores::{CaseScores, MeanScore};
use vesal_bundle::run_record::{FILE_NAME, RunRecord, Score};
use vesal_cli::stdout::{print, print_json};
use vesal_cli::{Columns, Exit, Failure, Text, stderr};
use vesal_trainer::fit::{self, FitError};
use vesal_trainer::work_dir::WorkDir;

use super::failure::{failure, fit_failure};
use crate::cli::ScoresArguments;

/// Prints the scores of every fold that has any, finished or not.
pub fn run(arguments: &ScoresArguments) -> Result<Exit, Failure> {
    let attempt = || {
        let path = arguments.work_dir.display();
        format!("cannot show the scores of `{path}`")
    };
    let work = WorkDir::open(&arguments.work_dir, None)
        .map_err(|error| failure(error).attempting(attempt()))?;
    let scores =
        scores_of(&work, work.folds()).map_err(|error| fit_failure(error).attempting(attempt()))?;
    if scores.is_empty() {
        let hint = "`vesal-train status --work-dir DIR` shows what is trained".to_owned();
        return Err(Failure::new(
            Exit::Usage,
            "no fold has scores by case, expected at least 1",
        )
        .attempting(attempt())
        .hint(hint));
    }
    let labels = fit::label_names(work.class_names(), &scores);
    let absent: Vec<usize> = work
        .folds()
        .iter()
        .copied()
        .filter(|fold| scores.iter().all(|scores| scores.fold != *fold))
        .collect();
    if arguments.json {
        print_json(&document(&work, &scores, &absent))?;
    } else {
        let mut text = case_table(&scores, &labels, arguments.worst);
        let rows: Vec<_> = scores
            .iter()
            .map(|scores| (scores.fold, score(scores)))
            .collect();
        let folds = render(&rows, Some(&out_of_fold(&scores)), &labels);
        text.blank().append(folds);
        print(&text)?;
    }
    if !absent.is_empty() {
        stderr::note(format!(
            "without the folds {absent:?}, which have no scores yet"
        ));
    }
    Ok(Exit::Success)
}

/// A table of every fold's validation Dice and, of several, the mean over the cases of all of them.
pub fn score_table(work: &WorkDir, folds: &[usize]) -> Result<Text, Failure> {
    let mut rows = Vec::with_capacity(folds.len());
    for &fold in folds {
        let record: RunRecord =
            RunRecord::read(&work.run_dir(fold).join(FILE_NAME)).map_err(|error| {
                Failure::new(Exit::Bundle, error)
                    .attempting(format!("cannot read the score of fold {fold}"))
            })?;
        rows.push((fold, record.score));
    }
    let scores = scores_of(work, folds).map_err(fit_failure)?;
    let several = folds.len() > 1 && scores.len() == folds.len();
    let all = several.then(|| out_of_fold(&scores));
    Ok(render(&rows, all.as_ref(), work.class_names()))
}

/// Scores by case of the folds that have them.
fn scores_of(work: &WorkDir, folds: &[usize]) -> Result<Vec<CaseScores>, FitError> {
    let scores = folds
        .iter()
        .map(|&fold| fit::scores(&work.run_dir(fold)))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(scores.into_iter().flatten().collect())
}

fn score(scores: &CaseScores) -> Score {
    MeanScore::over(&scores.cases).at_epoch(scores.epoch)
}

/// The mean over the cases of all folds, each scored by the training that held it out.
fn out_of_fold(scores: &[CaseScores]) -> MeanScore {
    MeanScore::over(scores.iter().flat_map(|scores| &scores.cases))
}

fn document(work: &WorkDir, scores: &[CaseScores], absent: &[usize]) -> serde_json::Value {
    let folds: Vec<_> = scores
        .iter()
        .map(|scores| {
            json!({
                "fold": scores.fold,
                "finished": work.run_dir(scores.fold).join(FILE_NAME).is_file(),
                "score": score(scores),
            })
        })
        .collect();
    let cases: Vec<_> = fit::worst_first(scores)
        .into_iter()
        .map(|(fold, case)| {
            json!({
                "case": case.case,
                "fold": fold,
                "mean_dice": case.mean_dice(),
                "labels": case.labels,
            })
        })
        .collect();
    json!({
        "format": "vesal-scores",
        "format_version": 1,
        "out_of_fold": out_of_fold(scores),
        "folds": folds,
        "folds_without_scores": absent,
        "cases": cases,
    })
}

fn case_table(scores: &[CaseScores], labels: &[String], worst: usize) -> Text {
    let cases = fit::worst_first(scores);
    let mut rows = vec![["case", "fold", "mean Dice"].map(str::to_owned).to_vec()];
    rows[0].extend(labels.iter().cloned());
    for (fold, case) in cases.iter().take(worst) {
        let mut row = vec![case.case.clone(), fold.to_string(), dice(case.mean_dice())];
        let of_label = |label| case.labels.get(label).and_then(|score| score.dice);
        row.extend(labels.iter().map(|label| dice(of_label(label))));
        rows.push(row);
    }
    let left = cases.len().saturating_sub(worst);
    let mut text = Text::new();
    text.columns(&rows, Columns::Numbers);
    if left > 0 {
        text.line(format!("and {left} better ones; `--worst N` shows N"));
    }
    text
}

fn render(scores: &[(usize, Score)], all: Option<&MeanScore>, labels: &[String]) -> Text {
    let mut rows = vec![
        ["fold", "cases", "epoch", "mean Dice"]
            .map(str::to_owned)
            .to_vec(),
    ];
    rows[0].extend(labels.iter().cloned());
    for (fold, score) in scores {
        let epoch = score.epoch.to_string();
        let (mean, by_label) = (score.mean_dice, &score.dice_by_label);
        rows.push(row(
            &fold.to_string(),
            score.cases,
            &epoch,
            mean,
            by_label,
            labels,
        ));
    }
    if let Some(all) = all {
        rows.push(row(
            "all",
            all.cases,
            "",
            all.mean_dice,
            &all.dice_by_label,
            labels,
        ));
    }
    let mut text = Text::new();
    text.columns(&rows, Columns::Numbers);
    text
}

fn row(
    name: &str,
    cases: usize,
    epoch: &str,
    mean_dice: f64,
    dice_by_label: &BTreeMap<String, Option<f64>>,
    labels: &[String],
) -> Vec<String> {
    let mut row = vec![
        name.to_owned(),
        cases.to_string(),
        epoch.to_owned(),
        dice(Some(mean_dice)),
    ];
    let of_label = |label| dice_by_label.get(label).copied().flatten();
    row.extend(labels.iter().map(|label| dice(of_label(label))));
    row
}

fn dice(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |dice| format!("{dice:.4}"))
}

#[cfg(test)]
mod tests {
    use vesal_bundle::case_scores::{CaseScore, LabelScore};

    use super::*;

    fn scores(fold: usize, cases: &[(&str, [Option<f64>; 2])]) -> CaseScores {
        let label = |dice| LabelScore {
            dice,
            truth_ml: 1.0,
            prediction_ml: 1.0,
        };
        let cases = cases.iter().map(|(case, [a, b])| CaseScore {
            case: (*case).to_owned(),
            labels: [("a".to_owned(), label(*a)), ("b".to_owned(), label(*b))].into(),
        });
        CaseScores {
            fold,
            epoch: 3,
            epochs_trained: 4,
            cases: cases.collect(),
        }
    }

    #[test]
    fn cases_of_all_folds_count_alike_and_the_worst_comes_first() {
        let scores = [
            scores(0, &[("p", [Some(0.5), None])]),
            scores(
                1,
                &[
                    ("q", [Some(0.75), Some(0.5)]),
                    ("r", [Some(1.0), None]),
                    ("s", [None, None]),
                ],
            ),
        ];
        let labels = ["a".to_owned(), "b".to_owned()];
        assert_eq!(
            case_table(&scores, &labels, 3).as_str(),
            "case  fold  mean Dice       a       b\n\
             p        0     0.5000  0.5000       -\n\
             q        1     0.6250  0.7500  0.5000\n\
             r        1     1.0000  1.0000       -\n\
             and 1 better ones; `--worst N` shows N\n"
        );
        let rows: Vec<_> = scores
            .iter()
            .map(|scores| (scores.fold, score(scores)))
            .collect();
        assert_eq!(
            render(&rows, Some(&out_of_fold(&scores)), &labels).as_str(),
            "fold  cases  epoch  mean Dice       a       b\n\
             0         1      3     0.5000  0.5000       -\n\
             1         3      3     0.6875  0.8750  0.5000\n\
             all       4            0.6250  0.7500  0.5000\n"
        );
    }
}
