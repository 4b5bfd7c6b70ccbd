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
    /// Number of steps' cases whose patches are mixed: patches of this many times the cases of a step are cut, shuffled and
    /// dealt out to as many times the steps. 1: each step has patches of its own cases.
    ///
    /// **Source**: Auto3DSeg swinunetr and dints, whose loader takes two cases at a time.
    pub mixed_cases: usize,
    /// Changes a patch at random by the plan's settings.
    pub augment: fn(&mut Patch, &TrainPlan, &mut Rng),
    /// Factor of the peak learning rate in an epoch (from 0).
    pub learning_rate_factor: fn(usize, &TrainPlan) -> f64,
    /// Epochs (from 1, ascending) after which the network is validated; always the last one.
    pub validations: fn(&TrainPlan) -> Vec<usize>,
    pub early_stopping: EarlyStopping,
}

/// The rule by which scores of validations end a training early, unless the plan's `early_stopping_fraction` is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EarlyStopping {
    /// Late scores that differ by less than the plan's `early_stopping_fraction`.
    Plateau,
    /// This many scores in a row below the best one.
    Patience(usize),
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
    /// Dice over all cases of a step together, plus the focal loss of every class by itself.
    DiceFocal,
}

impl Loss {
    /// Whether Dice is computed over all cases of a step together.
    pub fn joins_cases(self) -> bool {
        match self {
            Self::DiceCe { batch } => batch,
            Self::DiceFocal => true,
        }
    }
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
    /// Stochastic gradient descent; weight decay is added to the gradients.
    Sgd {
        /// Share of the previous update's velocity that is kept.
        momentum: f32,
    },
}

impl Optimizer {
    /// Numbers per parameter that are kept from step to step.
    pub const fn moments(self) -> u64 {
        match self {
            Self::AdamW { .. } => 2,
            Self::Sgd { .. } => 1,
        }
    }

    /// AdamW with PyTorch's defaults.
    pub const ADAMW: Self = Self::AdamW {
        betas: [0.9, 0.999],
        epsilon: 1e-8,
    };

    /// What is kept of each parameter between steps: names of tensors, which checkpoints use.
    pub fn state_names(self) -> &'static [&'static str] {
        match self {
            Self::AdamW { .. } => &["moment_1", "moment_2"],
            Self::Sgd { .. } => &["velocity"],
        }
    }
}
