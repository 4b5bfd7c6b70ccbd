//! Out-of-fold scores by label and case.

use vesal_bundle::case_scores::{CaseScore, LabelScore, MeanScore};
use vesal_bundle::work_dir::RunId;

use super::data::over_cases;
use super::format::{dice, short};
use super::page::{Section, figure};
use super::plot::{self, Words};
use crate::fit::{self, RunScores};
use crate::work_dir::{RunNames, WorkDir};

/// Maximum number of labels with a column in the table of cases.
const LABELS: usize = 6;
/// Maximum number of cases in the table.
const CASES: usize = 200;
/// Maximum number of labels in the plot.
const ROWS: usize = 40;

/// Distributions over cases, and a table of cases, the worst first.
pub fn section(work: &WorkDir, scores: &[RunScores]) -> Section {
    let mut section = Section::new("scores", "Scores");
    if scores.is_empty() {
        section.missing(
            "No case has been scored yet.",
            "vesal-train auto --work-dir DIR",
        );
        return section;
    }
    let runs = work.runs();
    let names = RunNames::among(&runs);
    for algorithm in work.algorithms() {
        let is_absent = |run: &&RunId| {
            run.algorithm == algorithm.name && scores.iter().all(|scores| scores.run != **run)
        };
        let absent = runs.iter().filter(is_absent);
        let absent: Vec<String> = absent.map(|run| run.fold.to_string()).collect();
        if !absent.is_empty() {
            let of_algorithm = match names.several_algorithms() {
                true => format!("{} ", algorithm.name),
                false => String::new(),
            };
            let folds = absent.join(", ");
            section.note(&format!("Without scores yet: {of_algorithm}fold {folds}."));
        }
    }
    let labels = fit::label_names(work.class_names(), scores);
    for algorithm in work.algorithms() {
        let own = scores.iter();
        let own: Vec<RunScores> = own
            .filter(|scores| scores.run.algorithm == algorithm.name)
            .cloned()
            .collect();
        if !own.is_empty() {
            let name = names.several_algorithms().then_some(algorithm.name);
            of_labels(&mut section, &own, &labels, name);
        }
    }
    section.heading("Cases, worst first");
    case_table(&mut section, &fit::worst_first(scores), &labels, names);
    section
}

/// Dice of each label over the held-out cases of an algorithm, with its name if there are several algorithms.
fn of_labels(
    section: &mut Section,
    scores: &[RunScores],
    labels: &[String],
    algorithm: Option<&str>,
) {
    let of_algorithm = algorithm.map_or_else(String::new, |name| format!(", {name}"));
    if let Some(name) = algorithm {
        section.heading(&format!("Algorithm {name}"));
    }
    let cases = fit::worst_first(scores);
    let all = MeanScore::over(scores.iter().flat_map(|run| &run.scores.cases));
    let values = |label: &str| -> Vec<f64> {
        cases
            .iter()
            .filter_map(|(_, case)| case.labels.get(label)?.dice)
            .collect()
    };
    let rows: Vec<Vec<String>> = labels
        .iter()
        .map(|label| {
            let mut sorted = values(label);
            sorted.sort_by(f64::total_cmp);
            let of_label = all.dice_by_label.get(label).copied().flatten();
            vec![
                label.clone(),
                sorted.len().to_string(),
                dice(of_label),
                dice(sorted.first().copied()),
                dice(plot::median(&sorted)),
                dice(sorted.last().copied()),
            ]
        })
        .collect();
    section.table(
        &format!("Dice of each label over held-out cases{of_algorithm}"),
        &["Label", "Cases", "Mean", "Worst", "Median", "Best"],
        &rows,
    );
    let strips: Vec<(String, Vec<f64>)> = labels
        .iter()
        .take(ROWS)
        .map(|label| (label.clone(), values(label)))
        .collect();
    let title = format!("Out-of-fold Dice of each label{of_algorithm}");
    let words = Words {
        title: &title,
        x: "Dice",
        y: "",
    };
    let means: Vec<f64> = cases
        .iter()
        .filter_map(|(_, case)| case.mean_dice())
        .collect();
    let caption = "How many cases are predicted so well.";
    section.gallery(&[
        figure(
            &plot::strips(words, &strips, Some([0.0, 1.0])),
            &plot::strips_caption(cases.len()),
        ),
        over_cases(
            &format!("Mean Dice of cases{of_algorithm}"),
            "Dice",
            &means,
            0,
            caption,
        ),
    ]);
}

fn case_table(
    section: &mut Section,
    cases: &[(&RunId, &CaseScore)],
    labels: &[String],
    names: RunNames,
) {
    let of_run = names.columns("Algorithm", "Fold");
    let mut header = [vec!["Case"], of_run, vec!["Mean Dice"]].concat();
    if labels.len() <= LABELS {
        header.extend(labels.iter().map(String::as_str));
    } else {
        header.extend(["Worst label", "Its Dice"]);
    }
    header.extend(["Truth, ml", "Predicted, ml"]);
    let rows: Vec<Vec<String>> = cases
        .iter()
        .take(CASES)
        .map(|(run, case)| {
            let mut row = vec![case.case.clone()];
            row.extend(names.cells(run));
            row.push(dice(case.mean_dice()));
            if labels.len() <= LABELS {
                let of_label = |label| case.labels.get(label).and_then(|score| score.dice);
                row.extend(labels.iter().map(|label| dice(of_label(label))));
            } else {
                let scored =
                    |(label, score): (&String, &LabelScore)| Some((score.dice?, label.clone()));
                let worst = case.labels.iter().filter_map(scored);
                let worst = worst.min_by(|a, b| a.0.total_cmp(&b.0));
                row.push(
                    worst
                        .as_ref()
                        .map_or_else(|| "–".to_owned(), |(_, label)| label.clone()),
                );
                row.push(dice(worst.map(|(dice, _)| dice)));
            }
            row.push(volumes(case, labels, |score| score.truth_ml));
            row.push(volumes(case, labels, |score| score.prediction_ml));
            row
        })
        .collect();
    section.table(
        "Each case as predicted by the network that did not see it; volumes in the order of the labels",
        &header,
        &rows,
    );
    if cases.len() > CASES {
        section.note(&format!(
            "{} better cases are left out; vesal-train scores --json lists all.",
            cases.len() - CASES
        ));
    }
}

/// Volumes of the labels, or their sum where there are many labels.
fn volumes(case: &CaseScore, labels: &[String], of: impl Fn(&LabelScore) -> f64) -> String {
    if labels.len() > LABELS {
        return short(case.labels.values().map(of).sum());
    }
    let each: Vec<String> = labels
        .iter()
        .map(|label| {
            case.labels
                .get(label)
                .map_or_else(|| "–".to_owned(), |score| short(of(score)))
        })
        .collect();
    each.join(" / ")
}
