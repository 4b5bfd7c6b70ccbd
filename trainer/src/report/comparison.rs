//! Algorithms side by side.

use super::format::dice;
use super::page::{Section, figure};
use super::plot::{self, COLORS, Curve, Words};
use crate::comparison::{AlgorithmSummary, Comparison, PairedDifference};
use crate::fit::{self, FitError, RunScores};
use crate::work_dir::WorkDir;

/// Maximum number of labels with a column.
const LABELS: usize = 6;

/// Scores of algorithms over folds, their differences case by case, and their validations; `None` of one algorithm.
///
/// **Errors**: metrics that exist but cannot be read.
pub fn section(work: &WorkDir, scores: &[RunScores]) -> Result<Option<Section>, FitError> {
    let comparison = Comparison::of_work_dir(work, scores);
    if !comparison.has_several_algorithms() {
        return Ok(None);
    }
    let mut section = Section::new("comparison", "Algorithms");
    let labels = fit::label_names(work.class_names(), scores);
    let labels = if labels.len() > LABELS {
        &[]
    } else {
        &labels[..]
    };
    let mut header = vec!["Algorithm", "Folds done", "Mean Dice", "Deviation"];
    header.extend(labels.iter().map(String::as_str));
    header.extend(["Epochs", "Hours"]);
    let rows: Vec<_> = comparison
        .algorithms
        .iter()
        .map(|summary| row(summary, labels))
        .collect();
    section.table(
        "Dice over folds: mean and standard deviation; of labels, over all cases",
        &header,
        &rows,
    );
    if !comparison.same_cases {
        section.note("The algorithms have scores of different cases: only the differences below are of the same.");
    }
    if !comparison.differences.is_empty() {
        let rows: Vec<_> = comparison.differences.iter().map(difference_row).collect();
        section.table(
            "Difference of the mean Dice of a case, over the cases that both have scores of",
            &[
                "Algorithm",
                "Against",
                "Cases",
                "Better in",
                "Difference",
                "95 % interval",
            ],
            &rows,
        );
        section.paragraph(
            "The interval is of the mean, by Student's t distribution. Cases of a fold are predicted by one network, so \
             that further trainings would vary more.",
        );
    }
    let mut plots = Vec::new();
    if !scores.is_empty() {
        plots.push(cases(&comparison, scores));
    }
    plots.extend(validations(work)?);
    section.gallery(&plots);
    Ok(Some(section))
}

fn row(summary: &AlgorithmSummary, labels: &[String]) -> Vec<String> {
    let of_label = |label| *summary.out_of_fold.as_ref()?.dice_by_label.get(label)?;
    let mut row = vec![
        summary.algorithm.clone(),
        format!("{} of {}", summary.folds_done, summary.folds),
        dice(summary.mean_over_folds),
        dice(summary.deviation_over_folds),
    ];
    row.extend(labels.iter().map(|label| dice(of_label(label))));
    row.extend([summary.epochs.to_string(), format!("{:.2}", summary.hours)]);
    row
}

fn difference_row(difference: &PairedDifference) -> Vec<String> {
    let signed = |value: f64| format!("{value:+.4}");
    let interval = difference.interval.map(|ends| {
        let [low, high] = ends.map(signed);
        format!("{low} to {high}")
    });
    vec![
        difference.algorithm.clone(),
        difference.against.clone(),
        difference.cases.to_string(),
        difference.better.to_string(),
        signed(difference.mean),
        interval.unwrap_or_else(|| "–".to_owned()),
    ]
}

/// Mean Dice of held-out cases, a row of dots for each algorithm.
fn cases(comparison: &Comparison, scores: &[RunScores]) -> String {
    let rows: Vec<(String, Vec<f64>)> = comparison
        .algorithms
        .iter()
        .map(|AlgorithmSummary { algorithm, .. }| {
            let own = scores.iter().filter(|run| run.run.algorithm == *algorithm);
            let cases = own.flat_map(|run| &run.scores.cases);
            let values = cases.filter_map(|case| case.mean_dice());
            (algorithm.clone(), values.collect())
        })
        .collect();
    let words = Words {
        title: "Out-of-fold Dice of cases by algorithm",
        x: "mean Dice of a case",
        y: "",
    };
    let most = rows.iter().map(|(_, values)| values.len()).max();
    figure(
        &plot::strips(words, &rows, Some([0.0, 1.0])),
        &plot::strips_caption(most.unwrap_or(0)),
    )
}

/// Dice of all validations, a color for each algorithm and a curve for each fold; `None` before the first.
fn validations(work: &WorkDir) -> Result<Option<String>, FitError> {
    let mut drawn: Vec<Curve> = Vec::new();
    for (color, algorithm) in work.algorithms().into_iter().enumerate() {
        let mut name = algorithm.name.to_owned();
        for run in work.runs_of(&[algorithm], work.folds()) {
            let directory = work.run_dir(&run);
            let curves = fit::curves(&directory)?;
            let epochs = work.run_status(&run).map_or(0, |status| status.num_epochs);
            if curves.validations.is_empty() || epochs == 0 {
                continue;
            }
            let rows = curves.validations.iter();
            let share = |epoch: usize| 100.0 * epoch as f64 / epochs as f64;
            drawn.push(Curve {
                name: std::mem::take(&mut name),
                points: rows.map(|row| (share(row.epoch), row.mean_dice)).collect(),
                color: color % COLORS,
                is_faint: false,
            });
        }
    }
    let words = Words {
        title: "Validation Dice by algorithm",
        x: "epochs, in % of the planned ones",
        y: "Dice",
    };
    let caption = "A curve for each fold.";
    Ok((!drawn.is_empty()).then(|| figure(&plot::curves(words, &drawn, true), caption)))
}
