//! How DiNTS is trained.

use super::augmentation::augment;
use crate::algorithms::recipe::{EarlyStopping, Loss, Optimizer, Recipe};
use crate::algorithms::rounds;
use crate::schedule::{WARMUP_MULTIPLIER, polynomial, warmup_cosine};
use crate::train_plan::TrainPlan;

/// Rounds between validations up to a percentage of all rounds.
const VALIDATIONS: &[(usize, usize)] = &[(10, 1), (40, 2), (100, 1)];
/// Power of the rounds left by which the learning rate falls.
const POWER: f64 = 0.5;

/// **Source**: Auto3DSeg dints, `hyper_parameters.yaml` and `train.py`.
pub(super) const RECIPE: Recipe = Recipe {
    loss: Loss::DiceFocal,
    optimizer: Optimizer::Sgd { momentum: 0.9 },
    centers_outside_regions: false,
    mixed_cases: 2,
    augment,
    learning_rate_factor,
    validations: |plan| rounds::validations(plan, VALIDATIONS),
    early_stopping: EarlyStopping::Patience(20),
};

/// The power of the rounds left, of one more than all; less during a warm-up, which Auto3DSeg does not have.
fn learning_rate_factor(epoch: usize, plan: &TrainPlan) -> f64 {
    let round = rounds::of_epoch(epoch, plan);
    let warmup = rounds::of_warmup(plan);
    let rising = match round < warmup {
        true => warmup_cosine(round, warmup, warmup, WARMUP_MULTIPLIER),
        false => 1.0,
    };
    rising * polynomial(round, plan.rounds() + 1, POWER)
}
