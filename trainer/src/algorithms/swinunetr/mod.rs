//! Swin UNETR, planned and trained as by Auto3DSeg's swinunetr.

mod augmentation;
mod recipe;
pub(crate) mod rules;

use vesal_bundle::deploy_plan::Restore;
use vesal_network::{NetworkConfig, PatchMerging, SwinUnetrConfig};

use super::algorithm::{Algorithm, NetworkSize};
use crate::analyze::stats::StatsSummary;
use rules::RoundRules;

/// Channels of the first stage.
const FEATURE_SIZE: usize = 48;
const EPOCHS_PER_ROUND: usize = 5;
/// Patches of all cases and epochs together, at two steps per case.
const PATCHES: f64 = 800_000.0;
const MAX_EPOCHS: usize = 1000;

pub static SWINUNETR: Algorithm = Algorithm {
    name: "swinunetr",
    skip: Algorithm::never_skipped,
    plan: |stats, input, budget| rules::plan(&RULES, stats, input, budget),
    network: network_of_size,
    recipe: recipe::RECIPE,
};

const RULES: RoundRules = RoundRules {
    algorithm: "swinunetr",
    filters: FEATURE_SIZE,
    filters_rule: "48; a multiple of 12",
    network,
    sides: &[96, 64],
    sides_rule: "96 voxels on an axis where the largest image has as many, else 64",
    memory_factor: 2.0,
    epochs,
    epochs_rule: "800000 / cases / (2 patches of a step), at most 1000 and at least a round",
    epochs_per_round: EPOCHS_PER_ROUND,
    warmup: |epochs| epochs / 100 * EPOCHS_PER_ROUND,
    warmup_rule: "as many rounds as there are hundreds of epochs",
    validations_rule: "none: after every round",
    learning_rate: 4e-4,
    weight_decay: 1e-5,
    early_stopping_rule: "above 0: end after 5 validations in a row below the best; 0: never",
    turned: &[[0, 1]],
    restore: Restore::Probabilities,
    moments: recipe::RECIPE.optimizer.moments(),
};

/// **Source**: Auto3DSeg swinunetr, `auto_scale`.
fn epochs(stats: &StatsSummary, _: [usize; 3], patches: usize) -> usize {
    let epochs = PATCHES / stats.n_cases as f64 / (2 * patches) as f64;
    (epochs as usize).min(MAX_EPOCHS)
}

fn network(in_channels: usize, out_channels: usize, feature_size: usize) -> NetworkConfig {
    let network = SwinUnetrConfig {
        in_channels,
        out_channels,
        feature_size,
        patch_merging: PatchMerging::default(),
    };
    network.into()
}

fn network_of_size(size: &NetworkSize) -> NetworkConfig {
    let filters = size.init_filters.unwrap_or(FEATURE_SIZE);
    network(size.in_channels, size.out_channels, filters)
}
