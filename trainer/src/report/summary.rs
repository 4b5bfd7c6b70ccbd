//! Summary at the top of the page.

use vesal_bundle::case_scores::MeanScore;

use super::format::{count, dice};
use super::page::{Section, escaped};
use crate::fit::{RunScores, state};
use crate::work_dir::{RunNames, WorkDir};

/// Task, cases, folds, score and state.
pub fn section(work: &WorkDir, scores: &[RunScores]) -> Section {
    let mut section = Section::new("summary", "Summary");
    let runs = work.runs();
    let names = RunNames::among(&runs);
    let statuses: Vec<_> = runs.iter().map(|run| (run, work.run_status(run))).collect();
    let done = statuses
        .iter()
        .filter(|(_, status)| status.as_ref().is_some_and(|status| status.finished))
        .count();
    let modality = format!("{:?}", work.modality()).to_uppercase();
    let mut cards = vec![
        ("Modality".to_owned(), modality),
        ("Cases".to_owned(), work.cases().to_string()),
        ("Labels".to_owned(), work.class_names().len().to_string()),
        (
            match names.several_algorithms() {
                true => "Runs trained",
                false => "Folds trained",
            }
            .to_owned(),
            format!("{done} of {}", statuses.len()),
        ),
    ];
    let mut out_of_fold = Vec::new();
    for algorithm in work.algorithms() {
        let own = scores
            .iter()
            .filter(|scores| scores.run.algorithm == algorithm.name);
        let all = MeanScore::over(own.flat_map(|scores| &scores.scores.cases));
        if all.cases > 0 {
            out_of_fold.push((algorithm.name, all));
        }
    }
    for (algorithm, all) in &out_of_fold {
        let name = match names.several_algorithms() {
            true => format!("Out-of-fold Dice, {algorithm}"),
            false => "Out-of-fold Dice".to_owned(),
        };
        cards.push((name, dice(Some(all.mean_dice))));
    }
    let cards: String = cards
        .iter()
        .map(|(name, value)| format!("<div><dt>{name}</dt><dd>{}</dd></div>", escaped(value)))
        .collect();
    section.markup(&format!("<dl class=\"cards\">{cards}</dl>"));
    section.paragraph(&format!("Labels: {}.", work.class_names().join(", ")));
    if let Some(cases) = out_of_fold.iter().map(|(_, all)| all.cases).max() {
        section.paragraph(&format!(
            "The out-of-fold Dice is the mean over {}, each predicted by a network that did not see it.",
            count(cases, "case")
        ));
    }
    let rows: Vec<Vec<String>> = statuses
        .iter()
        .map(|(run, status)| {
            let status = status.as_ref();
            let cell = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
            let epochs = status.map(|status| format!("{} of {}", status.epoch, status.num_epochs));
            let best = status.and_then(|status| status.best_epoch);
            let mut row = names.cells(run);
            row.extend([
                state(status).to_owned(),
                cell(epochs),
                dice(status.and_then(|status| status.best_dice)),
                cell(best.map(|epoch| epoch.to_string())),
            ]);
            row
        })
        .collect();
    let caption = match names.several_algorithms() {
        true => "Runs, one per algorithm and fold",
        false => "Runs, one per fold",
    };
    let of_run = names.columns("Algorithm", "Fold");
    let header = [of_run, vec!["State", "Epochs", "Best Dice", "At epoch"]].concat();
    section.table(caption, &header, &rows);
    section
}
