//! Tables of scores.

use std::collections::BTreeMap;

use vesal_bundle::case_scores::{CaseScore, MeanScore};
use vesal_bundle::run_record::{FILE_NAME, RunRecord, Score};
use vesal_bundle::work_dir::RunId;
use vesal_cli::{Columns, Exit, Failure, Text};
use vesal_trainer::fit::RunScores;
use vesal_trainer::work_dir::{RunNames, WorkDir};

use super::failure::fit_failure;

/// A table with the validation Dice of every run and, for an algorithm with several runs, the mean over the cases of
/// all of them.
pub fn score_table(work: &WorkDir, runs: &[RunId]) -> Result<Text, Failure> {
    let names = RunNames::among(runs);
    let mut rows = Vec::with_capacity(runs.len());
    for run in runs {
        let record: RunRecord =
            RunRecord::read(&work.run_dir(run).join(FILE_NAME)).map_err(|error| {
                Failure::new(Exit::Bundle, error)
                    .attempting(format!("cannot read the score of {}", names.phrase(run)))
            })?;
        rows.push((run.clone(), record.score));
    }
    let scores = work.scores(runs).map_err(fit_failure)?;
    let mut all = out_of_fold(&scores);
    let of = |algorithm: &str, run: &&RunId| run.algorithm == algorithm;
    all.retain(|algorithm, _| {
        let trained = runs.iter().filter(|run| of(algorithm, run)).count();
        let scored = scores.iter().map(|scores| &scores.run);
        trained > 1 && scored.filter(|run| of(algorithm, run)).count() == trained
    });
    Ok(render(&rows, &all, work.class_names()))
}

/// A table of runs, grouped by algorithm, and of the means over all cases of an algorithm.
pub fn render(
    scores: &[(RunId, Score)],
    all: &BTreeMap<String, MeanScore>,
    labels: &[String],
) -> Text {
    let names = RunNames::among(scores.iter().map(|(run, _)| run));
    let of_run = names.columns("algorithm", "fold");
    let header = [of_run, vec!["cases", "epoch", "mean Dice"]].concat();
    let mut rows = vec![header.into_iter().map(str::to_owned).collect::<Vec<_>>()];
    rows[0].extend(labels.iter().cloned());
    for (index, (run, score)) in scores.iter().enumerate() {
        let epoch = score.epoch.to_string();
        let (mean, by_label) = (score.mean_dice, &score.dice_by_label);
        let name = names.cells(run);
        rows.push(row(name, score.cases, &epoch, mean, by_label, labels));
        let next = scores.get(index + 1).map(|(next, _)| &next.algorithm);
        let is_last = next != Some(&run.algorithm);
        if let (true, Some(all)) = (is_last, all.get(&run.algorithm)) {
            let name = names.columns(run.algorithm.clone(), "all".to_owned());
            let (mean, by_label) = (all.mean_dice, &all.dice_by_label);
            rows.push(row(name, all.cases, "", mean, by_label, labels));
        }
    }
    let mut text = Text::new();
    text.columns(&rows, Columns::Numbers);
    text
}

fn row(
    mut row: Vec<String>,
    cases: usize,
    epoch: &str,
    mean_dice: f64,
    dice_by_label: &BTreeMap<String, Option<f64>>,
    labels: &[String],
) -> Vec<String> {
    row.extend([cases.to_string(), epoch.to_owned(), dice(Some(mean_dice))]);
    let of_label = |label| dice_by_label.get(label).copied().flatten();
    row.extend(labels.iter().map(|label| dice(of_label(label))));
    row
}

pub fn dice(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |dice| format!("{dice:.4}"))
}

pub fn score(scores: &RunScores) -> Score {
    MeanScore::over(&scores.scores.cases).at_epoch(scores.scores.epoch)
}

/// Per algorithm the mean over the cases of all folds, each scored by the run that held it out.
pub fn out_of_fold(scores: &[RunScores]) -> BTreeMap<String, MeanScore> {
    let mut cases: BTreeMap<&str, Vec<&CaseScore>> = BTreeMap::new();
    for scores in scores {
        let of_algorithm = cases.entry(&scores.run.algorithm).or_default();
        of_algorithm.extend(&scores.scores.cases);
    }
    let means = cases.into_iter().map(|(algorithm, cases)| {
        let mean = MeanScore::over(cases);
        (algorithm.to_owned(), mean)
    });
    means.collect()
}
