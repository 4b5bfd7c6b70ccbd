//! How an algorithm is trained, as far as users cannot change it; what they can change is in the train plan.

use crate::augment::Patch;
use crate::rng::Rng;
use crate::train_plan::TrainPlan;

/// How an algorithm is trained under a plan. A resumed training finds its recipe by the name of the algorithm in the
/// plan.
#[derive(Debug, Clone, Copy)]
pub struct Recipe {
    pub loss: Loss,
    pub optimizer: Optimizer,
    /// For crop mode `ratio` with overlapping regions: whether patches are also centered on voxels outside of all
    /// regions, as often as on voxels of one region. Where classes exclude each other, background is always one of the
    /// classes.
    pub centers_outside_regions: bool,
    /// Changes a patch at random by the plan's settings.
    pub augment: fn(&mut Patch, &TrainPlan, &mut Rng),
    /// Factor of the peak learning rate in an epoch (from 0).
    pub learning_rate_factor: fn(usize, &TrainPlan) -> f64,
    /// Epochs (from 1, ascending) after which the network is validated; always the last one.
    pub validations: fn(&TrainPlan) -> Vec<usize>,
}

/// The loss of an output of the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// Dice plus cross entropy.
    DiceCe {
        /// Whether Dice is computed over all cases of a step together; otherwise it is the mean over cases.
        ///
        /// **Source**: MONAI's `DiceCELoss(batch=...)`.
        batch: bool,
    },
}

/// The optimizer, except for learning rate and weight decay, which are in the plan.
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
