//! The train plan, `train_plan.json`: decisions that only training needs.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use vesal_files::VersionedDocument;
use vesal_network::NetworkConfig;

use crate::settings::range::{self, Range};
use crate::settings::{AugmentMode, CropMode};

/// File name inside a work directory.
pub const FILE_NAME: &str = "train_plan.json";

/// `train_plan.json`. Fields have Auto3DSeg's names where there are any.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainPlan {
    pub algorithm: String,
    pub network: NetworkConfig,
    /// Patch in voxels, `[X, Y, Z]`; equals the deploy plan's window.
    pub roi_size: [usize; 3],
    /// Cases per optimization step.
    pub num_images_per_batch: usize,
    /// Patches cut from each case of a step; patches per step = cases × crops.
    pub num_crops_per_image: usize,
    /// Optimization steps per case and epoch, each with fresh crops.
    pub num_steps_per_image: usize,
    /// Where patches are cut.
    pub crop_mode: CropMode,
    /// Passes over the training cases.
    pub num_epochs: usize,
    /// Epochs of a round, after which the learning rate changes and the network may be validated; cases are shuffled over
    /// all epochs of a round together. Epochs after the last whole round are not trained.
    #[serde(default = "one_epoch", skip_serializing_if = "is_one_epoch")]
    pub epochs_per_round: usize,
    /// Epochs between validations; `None`: Auto3DSeg's schedule, sparse at first and dense at the end.
    pub num_epochs_per_validation: Option<usize>,
    /// Epochs over which the learning rate rises from a tenth of its peak.
    pub num_warmup_epochs: usize,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Weight decay: decoupled from the gradients with AdamW, added to them with SGD.
    pub weight_decay: f64,
    /// Mixed precision, where the device supports it.
    pub use_amp: bool,
    /// Seed of weights, sampling and augmentation.
    pub seed: u64,
    /// Random changes to patches.
    #[serde(default)]
    pub augment_mode: AugmentMode,
    /// Axes on which patches are mirrored at random.
    #[serde(default = "all_axes")]
    pub augment_flips: Vec<usize>,
    /// Planes, as pairs of axes, in which patches are rotated at random by multiples of 90 degrees.
    #[serde(default)]
    pub augment_rots: Vec<[usize; 2]>,
    /// Weight of each class, background first, in Dice loss and cross entropy; `None`: equal weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class_weights: Option<Vec<f64>>,
    /// Largest norm of all gradients together; `None`: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip_grad_norm: Option<f64>,
    /// Decay of the moving average of the weights, which is then validated and exported; `None`: no averaging.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ema_decay: Option<f64>,
    /// Relative change of the score below which the training ends early; 0: never.
    #[serde(default)]
    pub early_stopping_fraction: f64,
    /// Whether a score near 0 after a quarter of the epochs is an error.
    #[serde(default)]
    pub stop_on_lowacc: bool,
    /// Weights that the training starts from; `None`: random ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init_weights: Option<InitialWeights>,
}

/// A file of weights that a training starts from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InitialWeights {
    pub path: PathBuf,
    pub sha256: String,
}

fn all_axes() -> Vec<usize> {
    vec![0, 1, 2]
}

fn one_epoch() -> usize {
    1
}

/// Whether a round is an epoch; such plans, and with them the identities of runs, stay as they were before rounds existed.
fn is_one_epoch(epochs: &usize) -> bool {
    *epochs == 1
}

/// Why the controls of a training are invalid.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum ControlError {
    /// A quarter turn would change the shape of the patch.
    #[error(
        "`augment_rots` turns axes {axes:?} of a patch of {roi_size:?} voxels, expected sides of one length"
    )]
    Rotation {
        axes: [usize; 2],
        /// Patch in voxels.
        roi_size: [usize; 3],
    },
    /// An axis does not exist, or occurs twice.
    #[error("`{name}` names axes {found:?}, expected different ones of 0, 1 and 2")]
    Axes {
        name: &'static str,
        found: Vec<usize>,
    },
    /// The number of weights differs from that of the classes.
    #[error(
        "`class_weights` has {found} weights, expected {expected}: background, then each class of the task"
    )]
    ClassWeights {
        found: usize,
        /// Number of classes, background included.
        expected: usize,
    },
    /// A number is out of its range.
    #[error("`{name}` is {found}, expected {expected}")]
    Range {
        name: &'static str,
        found: String,
        expected: &'static str,
    },
}

impl ControlError {
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Rotation { .. } => Some(
                "`--set roi_size=[X, Y, Z]` with equal sides in that plane, or `--set augment_rots=` for none",
            ),
            Self::ClassWeights { .. } => Some(
                "`--set class_weights=[BACKGROUND, FIRST, ...]`, or `--set class_weights=` for none",
            ),
            Self::Axes { .. } | Self::Range { .. } => Some("plan again"),
        }
    }
}

impl VersionedDocument for TrainPlan {
    const FORMAT: &str = "vesal-train-plan";
    const VERSION: u32 = 1;
    const MAX_BYTES: u64 = 1 << 20;
}

impl TrainPlan {
    /// Number of whole rounds.
    pub fn rounds(&self) -> usize {
        self.num_epochs / self.epochs_per_round.max(1)
    }

    /// Number of epochs in whole rounds, which are those that are trained.
    pub fn trained_epochs(&self) -> usize {
        self.rounds() * self.epochs_per_round.max(1)
    }

    /// Checks augmentation, weights and limits against patch and network.
    ///
    /// **Errors**: [`ControlError`].
    pub fn check_controls(&self) -> Result<(), ControlError> {
        let axes = |name, found: &[usize]| {
            if range::are_axes(found) {
                return Ok(());
            }
            let found = found.to_vec();
            Err(ControlError::Axes { name, found })
        };
        axes("augment_flips", &self.augment_flips)?;
        for &plane in &self.augment_rots {
            axes("augment_rots", &plane)?;
            if self.roi_size[plane[0]] != self.roi_size[plane[1]] {
                return Err(ControlError::Rotation {
                    axes: plane,
                    roi_size: self.roi_size,
                });
            }
        }
        if let Some(weights) = &self.class_weights {
            let (found, expected) = (weights.len(), self.network.out_channels());
            if found != expected {
                return Err(ControlError::ClassWeights { found, expected });
            }
            let found = format!("{weights:?}");
            within(&range::CLASS_WEIGHTS, "class_weights", weights, found)?;
        }
        if let Some(limit) = &self.clip_grad_norm {
            within(
                &range::NORM_LIMIT,
                "clip_grad_norm",
                limit,
                limit.to_string(),
            )?;
        }
        if let Some(decay) = &self.ema_decay {
            within(&range::FRACTION, "ema_decay", decay, decay.to_string())?;
        }
        let fraction = &self.early_stopping_fraction;
        within(
            &range::FRACTION,
            "early_stopping_fraction",
            fraction,
            fraction.to_string(),
        )
    }
}

fn within<T>(
    range: &Range<T>,
    name: &'static str,
    value: &T,
    found: String,
) -> Result<(), ControlError> {
    if (range.holds)(value) {
        return Ok(());
    }
    Err(ControlError::Range {
        name,
        found,
        expected: range.expected,
    })
}
