//! Curves of the trainings.

use super::format::short;
use super::page::{Section, figure};
use super::plot::{self, COLORS, Curve, Words};
use crate::fit::{self, Curves, FitError};
use crate::work_dir::{RunNames, WorkDir};

/// Maximum number of points of a curve.
const POINTS: usize = 300;
/// Fraction of the epochs over which curves are smoothed.
const SMOOTHING: f64 = 0.02;
/// Maximum number of labels with a curve of their own.
const LABELS: usize = COLORS - 2;

/// Loss, Dice and learning rate of each fold.
pub fn section(work: &WorkDir) -> Result<Section, FitError> {
    let mut section = Section::new("training", "Training");
    let runs = work.runs();
    let names = RunNames::among(&runs);
    // One rate per algorithm, because all of its folds follow the same schedule.
    let mut rates: Vec<(&str, String)> = Vec::new();
    for run in &runs {
        let curves = fit::curves(&work.run_dir(run))?;
        if curves.steps.is_empty() {
            continue;
        }
        let name = names.phrase(run);
        let title = match names.several_algorithms() {
            true => name.clone(),
            false => format!("Fold {}", run.fold),
        };
        section.heading(&title);
        let mut plots = vec![loss(&curves, &name)];
        plots.extend(validation(&curves, &name));
        section.gallery(&plots);
        if rates
            .iter()
            .all(|(algorithm, _)| *algorithm != run.algorithm)
        {
            rates.push((&run.algorithm, learning_rate(&curves, &name)));
        }
    }
    if rates.is_empty() {
        section.missing(
            "No fold has been trained yet.",
            "vesal-train auto --work-dir DIR",
        );
    } else {
        section.heading("Learning rate");
        let plots: Vec<_> = rates.into_iter().map(|(_, plot)| plot).collect();
        section.gallery(&plots);
    }
    Ok(section)
}

/// Values of steps over epochs, averaged to at most [`POINTS`] points.
fn over_epochs(curves: &Curves, value: impl Fn(&fit::StepRow) -> f64) -> Vec<(f64, f64)> {
    let steps = &curves.steps;
    let per_epoch = steps.iter().map(|row| row.step).max().unwrap_or(1).max(1) as f64;
    steps
        .chunks(steps.len().div_ceil(POINTS).max(1))
        .map(|rows| {
            let number = rows.len() as f64;
            let epoch = |row: &fit::StepRow| row.epoch as f64 - 1.0 + row.step as f64 / per_epoch;
            let x = rows.iter().map(epoch).sum::<f64>() / number;
            (x, rows.iter().map(&value).sum::<f64>() / number)
        })
        .collect()
}

/// Moving average over neighboring points.
fn smoothed(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let reach = (points.len() as f64 * SMOOTHING).ceil() as usize;
    (0..points.len())
        .map(|index| {
            // The range is symmetric, so that the ends are unchanged.
            let reach = reach.min(index).min(points.len() - 1 - index);
            let near = &points[index - reach..=index + reach];
            let sum: f64 = near.iter().map(|point| point.1).sum();
            (points[index].0, sum / near.len() as f64)
        })
        .collect()
}

fn loss(curves: &Curves, name: &str) -> String {
    let points = over_epochs(curves, |row| row.loss);
    let curve = |points, is_faint| Curve {
        name: String::new(),
        points,
        color: 0,
        is_faint,
    };
    let title = format!("Loss, {name}");
    let words = Words {
        title: &title,
        x: "epochs",
        y: "loss",
    };
    let last = points.last().map_or(f64::NAN, |point| point.1);
    let drawn = [curve(smoothed(&points), false), curve(points, true)];
    figure(
        &plot::curves(words, &drawn, true),
        &format!("The bold line is smoothed. At the end {}.", short(last)),
    )
}

fn validation(curves: &Curves, name: &str) -> Option<String> {
    let rows = &curves.validations;
    let best = rows.iter().max_by(|a, b| {
        a.mean_dice
            .total_cmp(&b.mean_dice)
            .then(b.epoch.cmp(&a.epoch))
    })?;
    // Among too many labels to distinguish, those that are predicted worst.
    let mut labels: Vec<usize> = (0..curves.labels.len()).collect();
    let dice = |label: usize| {
        best.dice
            .get(label)
            .copied()
            .flatten()
            .unwrap_or(f64::INFINITY)
    };
    if labels.len() > LABELS {
        labels.sort_by(|&a, &b| dice(a).total_cmp(&dice(b)));
        labels.truncate(LABELS);
    }
    let mut drawn: Vec<Curve> = Vec::new();
    if curves.labels.len() > 1 {
        drawn.extend(labels.iter().enumerate().map(|(color, &label)| {
            let point = |row: &fit::ValidationRow| {
                Some((row.epoch as f64, row.dice.get(label).copied().flatten()?))
            };
            Curve {
                name: curves.labels[label].clone(),
                points: rows.iter().filter_map(point).collect(),
                color,
                is_faint: false,
            }
        }));
    }
    drawn.push(Curve {
        name: "mean".to_owned(),
        points: rows
            .iter()
            .map(|row| (row.epoch as f64, row.mean_dice))
            .collect(),
        color: COLORS - 1,
        is_faint: false,
    });
    let title = format!("Validation Dice, {name}");
    let words = Words {
        title: &title,
        x: "epoch",
        y: "Dice",
    };
    let mut caption = format!("Best mean {:.3} at epoch {}.", best.mean_dice, best.epoch);
    if curves.labels.len() > LABELS {
        caption.push_str(&format!(
            " The {LABELS} labels of {} with the lowest Dice.",
            curves.labels.len()
        ));
    }
    Some(figure(&plot::curves(words, &drawn, true), &caption))
}

fn learning_rate(curves: &Curves, name: &str) -> String {
    let title = format!("Learning rate, {name}");
    let words = Words {
        title: &title,
        x: "epochs",
        y: "learning rate",
    };
    let curve = Curve {
        name: String::new(),
        points: over_epochs(curves, |row| row.learning_rate),
        color: 3,
        is_faint: false,
    };
    figure(
        &plot::curves(words, &[curve], true),
        "All folds follow the same schedule.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smoothing_keeps_lines_and_ends() {
        let line: Vec<(f64, f64)> = (0..200)
            .map(|x| (f64::from(x), 2.0 * f64::from(x)))
            .collect();
        for (found, expected) in smoothed(&line).iter().zip(&line) {
            assert!((found.1 - expected.1).abs() < 1e-9);
        }
        assert!(smoothed(&[]).is_empty());
    }
}
