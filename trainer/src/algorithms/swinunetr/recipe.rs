//! How SwinUNETR is trained.

use super::augmentation::augment;
use crate::algorithms::recipe::{EarlyStopping, Loss, Optimizer, Recipe};
use crate::algorithms::rounds;
use crate::schedule::{WARMUP_MULTIPLIER, warmup_cosine};
use crate::train_plan::TrainPlan;

/// Rounds between validations up to a percentage of all rounds: always 1.
const VALIDATIONS: &[(usize, usize)] = &[(100, 1)];

/// **Source**: Auto3DSeg swinunetr, `hyper_parameters.yaml` and `train.py`.
pub(super) const RECIPE: Recipe = Recipe {
    loss: Loss::DiceCe { batch: false },
    optimizer: Optimizer::ADAMW,
    centers_outside_regions: false,
    mixed_cases: 2,
    augment,
    learning_rate_factor,
    validations: |plan| rounds::validations(plan, VALIDATIONS),
    early_stopping: EarlyStopping::Patience(5),
};

/// Warm-up, then a cosine, by rounds; it would end a round after the last one.
fn learning_rate_factor(epoch: usize, plan: &TrainPlan) -> f64 {
    let total = plan.rounds() + 1;
    let warmup = rounds::of_warmup(plan).min(total);
    let round = rounds::of_epoch(epoch, plan);
    warmup_cosine(round, warmup, total, WARMUP_MULTIPLIER)
}
