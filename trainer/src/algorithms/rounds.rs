//! Schedules of recipes by rounds of several epochs.

use crate::schedule::{adaptive_validations, validation_epochs};
use crate::train_plan::TrainPlan;

/// The round that an epoch is in; both from 0.
pub(super) fn of_epoch(epoch: usize, plan: &TrainPlan) -> usize {
    epoch / plan.epochs_per_round.max(1)
}

/// Whole rounds of warm-up.
pub(super) fn of_warmup(plan: &TrainPlan) -> usize {
    of_epoch(plan.num_warmup_epochs, plan)
}

/// Epochs (from 1) after which the network is validated: ends of rounds, by
/// [`adaptive_validations`] with these stages, or every `num_epochs_per_validation`, rounded up to rounds.
pub(super) fn validations(plan: &TrainPlan, stages: &[(usize, usize)]) -> Vec<usize> {
    let of_round = plan.epochs_per_round.max(1);
    let rounds = match plan.num_epochs_per_validation {
        Some(epochs) => validation_epochs(plan.rounds(), Some(epochs.div_ceil(of_round)), 1),
        None => adaptive_validations(plan.rounds(), stages),
    };
    rounds.into_iter().map(|round| round * of_round).collect()
}
