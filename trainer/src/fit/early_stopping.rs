//! Decisions about ending a training, from the scores so far.

use crate::algorithms::EarlyStopping;
use crate::train_plan::TrainPlan;

/// Least number of validations that decide, and number that has to be exceeded before a training can end early.
const DECIDING: usize = 10;
/// Fraction of the epochs whose validations decide.
const RECENT: f64 = 0.1;
/// Avoids a division by 0.
const EPSILON: f64 = 1e-8;
/// Mean Dice below which a training counts as diverged.
const LEAST_DICE: f64 = 0.01;
/// Number of epochs in which no score counts as diverged.
const PATIENCE: usize = 20;

/// Whether the scores (epoch from 1, mean Dice) show that further epochs are useless; never where the plan's
/// `early_stopping_fraction` is 0.
pub fn ends_early(history: &[(usize, f64)], rule: EarlyStopping, plan: &TrainPlan) -> bool {
    plan.early_stopping_fraction > 0.0
        && match rule {
            EarlyStopping::Plateau => is_plateau(history, plan),
            EarlyStopping::Patience(most) => validations_below_best(history) >= most,
        }
}

/// Number of the last validations in a row whose scores are below the best one before them.
///
/// **Source**: Auto3DSeg swinunetr and dints, `EarlyStopping` with a `delta` of 0.
fn validations_below_best(history: &[(usize, f64)]) -> usize {
    let (mut best, mut below) = (f64::NEG_INFINITY, 0);
    for &(_, dice) in history {
        if dice < best {
            below += 1;
        } else {
            (best, below) = (dice, 0);
        }
    }
    below
}

/// Whether late scores hardly differ.
///
/// **Definition**: after half of the epochs and more than 10 validations, the validations of the last tenth of the
/// epochs decide, but at least the last 10: all scores have to be above 0, and `(max - min) / (max + 1e-8)` below
/// `early_stopping_fraction`.
///
/// **Source**: Auto3DSeg segresnet, `early_stopping_fraction`.
fn is_plateau(history: &[(usize, f64)], plan: &TrainPlan) -> bool {
    let Some(&(last, _)) = history.last() else {
        return false;
    };
    // Auto3DSeg counts epochs from 0.
    let late = 2 * (last - 1) > plan.num_epochs && history.len() > DECIDING;
    if !late {
        return false;
    }
    let crops = plan.num_crops_per_image;
    let interval = (RECENT * (plan.num_epochs * crops) as f64) as usize;
    let recent = history
        .iter()
        .filter(|(epoch, _)| (last - epoch) * crops < interval)
        .count();
    let deciding = &history[history.len() - recent.max(DECIDING)..];
    let scores = deciding.iter().map(|(_, dice)| *dice);
    let (low, high) = scores.fold((f64::INFINITY, 0.0), |(low, high): (f64, f64), dice| {
        (low.min(dice), high.max(dice))
    });
    low > 0.0 && (high - low) / (high + EPSILON) < plan.early_stopping_fraction
}

/// Whether a score (epoch from 1, mean Dice) shows that the training has diverged.
///
/// **Definition**: below 0.01 after a quarter of the epochs, and after at least 20.
///
/// **Source**: Auto3DSeg segresnet, `stop_on_lowacc`.
pub fn has_diverged(epoch: usize, dice: f64, plan: &TrainPlan) -> bool {
    let late = epoch.saturating_sub(1) > PATIENCE && 4 * (epoch - 1) > plan.num_epochs;
    plan.stop_on_lowacc && late && dice < LEAST_DICE
}
