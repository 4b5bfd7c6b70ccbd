//! The train plan: decisions that only training needs, `train_plan.json`.

use serde::{Deserialize, Serialize};
use vesal_models::NetworkConfig;

/// Name of this format in the file itself.
pub const FORMAT: &str = "vesal-train-plan";
/// Version of the format that this code writes and reads.
pub const FORMAT_VERSION: u32 = 1;

/// Where patches are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CropMode {
    /// Around voxels drawn with equal chance from each class, background included.
    Ratio,
    /// Anywhere.
    Rand,
}

/// `train_plan.json`. Field names are Auto3DSeg's where it has one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainPlan {
    /// Always [`FORMAT`].
    pub format: String,
    /// Always [`FORMAT_VERSION`].
    pub format_version: u32,
    /// Algorithm: `segresnet`.
    pub algorithm: String,
    /// Network to train.
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
    /// Epochs between validations; none: the reference's cadence, sparse at first, dense at the end.
    pub num_epochs_per_validation: Option<usize>,
    /// Epochs over which the learning rate rises from a tenth.
    pub num_warmup_epochs: usize,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// AdamW's decoupled weight decay.
    pub weight_decay: f64,
    /// Mixed precision, where the backend has it.
    pub use_amp: bool,
    /// Seed of weights, sampling and augmentation.
    pub seed: u64,
}
