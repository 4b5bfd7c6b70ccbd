//! What matters most, at the top.

use vesal_bundle::case_scores::{CaseScores, MeanScore};

use super::format::{count, dice};
use super::page::{Section, escaped};
use crate::fit::state;
use crate::work_dir::WorkDir;

/// Task, cases, folds, score and state.
pub fn section(work: &WorkDir, scores: &[CaseScores]) -> Section {
    let mut section = Section::new("summary", "Summary");
    let all = MeanScore::over(scores.iter().flat_map(|scores| &scores.cases));
    let statuses: Vec<_> = work
        .folds()
        .iter()
        .map(|&fold| (fold, work.run_status(fold)))
        .collect();
    let done = statuses
        .iter()
        .filter(|(_, status)| status.as_ref().is_some_and(|status| status.finished))
        .count();
    let modality = format!("{:?}", work.modality()).to_uppercase();
    let mut cards = vec![
        ("Modality", modality),
        ("Cases", work.cases().to_string()),
        ("Labels", work.class_names().len().to_string()),
        ("Folds trained", format!("{done} of {}", statuses.len())),
    ];
    if all.cases > 0 {
        cards.push(("Out-of-fold Dice", dice(Some(all.mean_dice))));
    }
    let cards: String = cards
        .iter()
        .map(|(name, value)| format!("<div><dt>{name}</dt><dd>{}</dd></div>", escaped(value)))
        .collect();
    section.markup(&format!("<dl class=\"cards\">{cards}</dl>"));
    section.paragraph(&format!("Labels: {}.", work.class_names().join(", ")));
    if all.cases > 0 {
        section.paragraph(&format!(
            "The out-of-fold Dice is the mean over {}, each predicted by a network that did not see it.",
            count(all.cases, "case")
        ));
    }
    let rows: Vec<Vec<String>> = statuses
        .iter()
        .map(|(fold, status)| {
            let status = status.as_ref();
            let cell = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
            let epochs = status.map(|status| format!("{} of {}", status.epoch, status.num_epochs));
            let best = status.and_then(|status| status.best_epoch);
            vec![
                fold.to_string(),
                state(status).to_owned(),
                cell(epochs),
                dice(status.and_then(|status| status.best_dice)),
                cell(best.map(|epoch| epoch.to_string())),
            ]
        })
        .collect();
    section.table(
        "Runs, one per fold",
        &["Fold", "State", "Epochs", "Best Dice", "At epoch"],
        &rows,
    );
    section
}
