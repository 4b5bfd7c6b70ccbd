//! The rules of dints, where they differ from those of swinunetr.

use vesal_bundle::deploy_plan::Restore;
use vesal_network::{DintsArchitecture, DintsConfig, NetworkConfig};

use super::recipe;
use crate::algorithms::swinunetr::rules::RoundRules;
use crate::analyze::stats::StatsSummary;

/// Channels of the stem at the input's resolution.
pub(super) const FILTERS: usize = 32;
const EPOCHS_PER_ROUND: usize = 2;
/// Epochs times patches per step of the dataset that Auto3DSeg's rule is made for, or a larger one.
const EPOCHS: f64 = 400.0;
/// Cases of that dataset, and voxels of an image along each axis.
const CASES: f64 = 1251.0;
const IMAGE: [f64; 3] = [240.0, 240.0, 155.0];
/// Side of its patch in voxels.
const PATCH: f64 = 96.0;
/// By how much more a dataset has to be smaller than that one before it is trained for more epochs.
const LESS: f64 = 36.0;

pub(super) const RULES: RoundRules = RoundRules {
    algorithm: "dints",
    filters: FILTERS,
    filters_rule: "32",
    network,
    sides: &[96, 64, 32],
    sides_rule: "96 voxels on an axis where the largest image has as many, else 64 or 32 likewise",
    memory_factor: 1.0,
    epochs,
    epochs_rule: "400 F / patches of a step, at least a round; F compares the patches that fill all images with those of \
                  1251 images of 240×240×155 voxels and 96³, divided by 36, and is at least 1",
    epochs_per_round: EPOCHS_PER_ROUND,
    warmup: |_| 0,
    warmup_rule: "none: the learning rate falls with the square root of the rounds left",
    validations_rule: "none: after every round up to 10 % of the rounds, after every second up to 40 %, then after every \
                       round",
    learning_rate: 0.2,
    weight_decay: 4e-5,
    early_stopping_rule: "above 0: end after 20 validations in a row below the best; 0: never",
    turned: &[],
    restore: Restore::Logits,
    moments: recipe::RECIPE.optimizer.moments(),
};

/// **Source**: Auto3DSeg dints, `auto_scale`.
fn epochs(stats: &StatsSummary, roi: [usize; 3], patches: usize) -> usize {
    let mut factor = CASES / stats.n_cases as f64;
    for (mean, side) in stats.image_stats.shape.mean.iter().zip(IMAGE) {
        factor = factor * mean / side;
    }
    for side in roi {
        factor = factor * PATCH / side as f64;
    }
    (EPOCHS * (factor / LESS).max(1.0) / patches as f64) as usize
}

pub(super) fn network(in_channels: usize, out_channels: usize, filters: usize) -> NetworkConfig {
    let network = DintsConfig {
        in_channels,
        out_channels,
        filters,
        architecture: DintsArchitecture::default(),
    };
    network.into()
}
