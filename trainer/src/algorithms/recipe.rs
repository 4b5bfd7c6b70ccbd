//! How an algorithm is trained, as far as users cannot change it: what they can change stands in the train plan.

use crate::augment::Patch;
use crate::rng::Rng;
use crate::train_plan::TrainPlan;

/// How an algorithm is trained under a plan. A training that goes on after a break looks it up by the plan's algorithm.
#[derive(Debug, Clone, Copy)]
pub struct Recipe {
    pub loss: Loss,
    pub optimizer: Optimizer,
    /// Whether patches of overlapping regions are centered outside of all regions as well, as often as in one of them;
    /// background always counts where classes exclude each other. For the crop mode `ratio`.
    pub centers_outside_regions: bool,
    /// Changes a patch at random, as the plan says.
    pub augment: fn(&mut Patch, &TrainPlan, &mut Rng),
    /// Factor of the peak learning rate in an epoch, from 0.
    pub learning_rate_factor: fn(usize, &TrainPlan) -> f64,
    /// Epochs (from 1, ascending) after which the network is validated; always the last one.
    pub validations: fn(&TrainPlan) -> Vec<usize>,
}

/// The loss of an output of the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// Dice plus cross entropy.
    DiceCe {
        /// Whether Dice is of all cases of a step together, and not the mean over cases.
        ///
        /// **Source**: MONAI's `DiceCELoss(batch=...)`.
        batch: bool,
    },
}

/// The optimizer, but for what the plan says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Optimizer {
    AdamW {
        /// Decay rates of the two moments.
        betas: [f32; 2],
        /// Added to the root of the second moment.
        epsilon: f32,
    },
}

impl Optimizer {
    /// AdamW with PyTorch's defaults.
    pub const ADAMW: Self = Self::AdamW {
        betas: [0.9, 0.999],
        epsilon: 1e-8,
    };
}
