//! `vesal-train scores`: the scores of held-out cases.

use std::collections::BTreeMap;

use serde_json::json;
use vesal_bundle::case_scores::{CaseScores, MeanScore};
use vesal_bundle::run_record;
use vesal_cli::stdout::{print, print_json};
use vesal_cli::{Columns, Exit, Failure, Text, stderr};
use vesal_trainer::comparison::{AlgorithmSummary, Comparison};
use vesal_trainer::fit::{self, RunScores};
use vesal_trainer::work_dir::{RunNames, WorkDir};

use super::comparison_table::comparison_table;
use super::failure::{failure, fit_failure};
use super::score_table::{dice, out_of_fold, render, score};
use crate::cli::ScoresArguments;

/// Prints the scores of every run that has any, finished or not.
pub fn run(arguments: &ScoresArguments) -> Result<Exit, Failure> {
    let attempt = || {
        let path = arguments.work_dir.display();
        format!("cannot show the scores of `{path}`")
    };
    let work = WorkDir::open(&arguments.work_dir, None)
        .map_err(|error| failure(error).attempting(attempt()))?;
    let scores = work
        .scores(&work.runs())
        .map_err(|error| fit_failure(error).attempting(attempt()))?;
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
    let comparison = Comparison::of_work_dir(&work, &scores);
    if arguments.json {
        print_json(&document(&work, &scores, &comparison))?;
    } else {
        let mut text = case_table(&scores, &labels, arguments.worst);
        let rows: Vec<_> = scores
            .iter()
            .map(|scores| (scores.run.clone(), score(scores)))
            .collect();
        let runs = render(&rows, &out_of_fold(&scores), &labels);
        text.blank().append(runs);
        if comparison.has_several_algorithms() {
            let table = comparison_table(&comparison, &labels);
            text.blank().append(table);
        }
        print(&text)?;
    }
    for algorithm in work.algorithms() {
        let absent = absent(&work, &scores, algorithm.name);
        if !absent.is_empty() {
            let of_algorithm = match work.algorithms().len() {
                1 => String::new(),
                _ => format!(" of {}", algorithm.name),
            };
            stderr::note(format!(
                "without the folds {absent:?}{of_algorithm}, which have no scores yet"
            ));
        }
    }
    Ok(Exit::Success)
}

/// Folds for which an algorithm has no scores.
fn absent(work: &WorkDir, scores: &[RunScores], algorithm: &str) -> Vec<usize> {
    let has_scores = |fold: usize| {
        let mut runs = scores.iter().map(|scores| &scores.run);
        runs.any(|run| run.algorithm == algorithm && run.fold == fold)
    };
    let folds = work.folds().iter().copied();
    folds.filter(|fold| !has_scores(*fold)).collect()
}

/// The mean over the cases of all folds, each scored by the best of the runs that held it out.
fn best_by_fold(scores: &[RunScores]) -> MeanScore {
    let mut best: BTreeMap<usize, (f64, &CaseScores)> = BTreeMap::new();
    for scores in scores {
        let dice = score(scores).mean_dice;
        let found = best.entry(scores.run.fold);
        let found = found.or_insert((dice, &scores.scores));
        if dice > found.0 {
            *found = (dice, &scores.scores);
        }
    }
    MeanScore::over(best.values().flat_map(|(_, scores)| &scores.cases))
}

fn document(work: &WorkDir, scores: &[RunScores], comparison: &Comparison) -> serde_json::Value {
    let folds: Vec<_> = scores
        .iter()
        .map(|scores| {
            json!({
                "algorithm": scores.run.algorithm,
                "fold": scores.run.fold,
                "finished": work.run_dir(&scores.run).join(run_record::FILE_NAME).is_file(),
                "score": score(scores),
            })
        })
        .collect();
    let of_algorithm = |summary: &AlgorithmSummary| {
        let mut entry = json!(summary);
        entry["folds_without_scores"] = json!(absent(work, scores, &summary.algorithm));
        entry
    };
    let by_algorithm: Vec<_> = comparison.algorithms.iter().map(of_algorithm).collect();
    let mut nowhere = work.folds().to_vec();
    nowhere.retain(|fold| scores.iter().all(|scores| scores.run.fold != *fold));
    let cases: Vec<_> = fit::worst_first(scores)
        .into_iter()
        .map(|(run, case)| {
            json!({
                "case": case.case,
                "algorithm": run.algorithm,
                "fold": run.fold,
                "mean_dice": case.mean_dice(),
                "labels": case.labels,
            })
        })
        .collect();
    json!({
        "format": "vesal-scores",
        "format_version": 1,
        "out_of_fold": best_by_fold(scores),
        "algorithms": by_algorithm,
        "differences": comparison.differences,
        "same_cases": comparison.same_cases,
        "folds": folds,
        "folds_without_scores": nowhere,
        "cases": cases,
    })
}

fn case_table(scores: &[RunScores], labels: &[String], worst: usize) -> Text {
    let cases = fit::worst_first(scores);
    let names = RunNames::among(scores.iter().map(|scores| &scores.run));
    let of_run = names.columns("algorithm", "fold");
    let header = [vec!["case"], of_run, vec!["mean Dice"]].concat();
    let mut rows = vec![header.into_iter().map(str::to_owned).collect::<Vec<_>>()];
    rows[0].extend(labels.iter().cloned());
    for (run, case) in cases.iter().take(worst) {
        let mut row = vec![case.case.clone()];
        row.extend(names.cells(run));
        row.push(dice(case.mean_dice()));
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

#[cfg(test)]
mod tests {
    use vesal_bundle::case_scores::{CaseScore, LabelScore};
    use vesal_bundle::work_dir::RunId;

    use super::*;

    fn scores(algorithm: &str, fold: usize, cases: &[(&str, [Option<f64>; 2])]) -> RunScores {
        let label = |dice| LabelScore {
            dice,
            truth_ml: 1.0,
            prediction_ml: 1.0,
        };
        let cases = cases.iter().map(|(case, [a, b])| CaseScore {
            case: (*case).to_owned(),
            labels: [("a".to_owned(), label(*a)), ("b".to_owned(), label(*b))].into(),
        });
        RunScores {
            run: RunId::new(algorithm, fold),
            scores: CaseScores {
                fold,
                epoch: 3,
                epochs_trained: 4,
                cases: cases.collect(),
            },
        }
    }

    #[test]
    fn cases_of_all_folds_count_alike_and_the_worst_comes_first() {
        let scores = [
            scores("segresnet", 0, &[("p", [Some(0.5), None])]),
            scores(
                "segresnet",
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
            .map(|scores| (scores.run.clone(), score(scores)))
            .collect();
        assert_eq!(
            render(&rows, &out_of_fold(&scores), &labels).as_str(),
            "fold  cases  epoch  mean Dice       a       b\n\
             0         1      3     0.5000  0.5000       -\n\
             1         3      3     0.6875  0.8750  0.5000\n\
             all       4            0.6250  0.7500  0.5000\n"
        );
    }

    #[test]
    fn rows_of_several_algorithms_name_them() {
        let labels = ["a".to_owned(), "b".to_owned()];
        let scores = [
            scores("one", 0, &[("p", [Some(0.5), None])]),
            scores("one", 1, &[("q", [Some(1.0), None])]),
            scores("two", 0, &[("p", [Some(0.75), None])]),
        ];
        assert_eq!(
            case_table(&scores, &labels[..1], 2).as_str(),
            "case  algorithm  fold  mean Dice       a\n\
             p           one     0     0.5000  0.5000\n\
             p           two     0     0.7500  0.7500\n\
             and 1 better ones; `--worst N` shows N\n"
        );
        let rows: Vec<_> = scores
            .iter()
            .map(|scores| (scores.run.clone(), score(scores)))
            .collect();
        assert_eq!(
            render(&rows, &out_of_fold(&scores), &labels[..1]).as_str(),
            "algorithm  fold  cases  epoch  mean Dice       a\n\
             one           0      1      3     0.5000  0.5000\n\
             one           1      1      3     1.0000  1.0000\n\
             one         all      2            0.7500  0.7500\n\
             two           0      1      3     0.7500  0.7500\n\
             two         all      1            0.7500  0.7500\n"
        );
        let best = best_by_fold(&scores);
        assert_eq!((best.mean_dice, best.cases), (0.875, 2));
    }
}
