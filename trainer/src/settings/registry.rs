//! The settings, one entry each.
//!
//! To add one, write an entry here and use its value, mostly in the planner; everything else is generated.

use serde::{Deserialize, Serialize};
use vesal_network::PatchMerging;

use super::choice::{AugmentMode, CropMode, NormalizeMode, ResampleMode};
use super::declare::settings;
use super::range::{self, Range};
use super::setting::{
    AnySetting, Category, Definition, FixedDefault, OutOfRange, Scale, Search, Setting,
};

settings! {
    /// Passes over the training cases.
    num_epochs: usize => NUM_EPOCHS "num_epochs"
        rule("80000 / cases, from 300 to 1250, divided by the crops per image, at most 3") {
        category: Schedule,
        example: "7",
        range: range::AT_LEAST_1,
    }

    /// Patches per step, distributed to cases and crops by the crop mode; taken literally, as cases per step, where
    /// `num_crops_per_image` is set as well.
    num_images_per_batch: usize => NUM_IMAGES_PER_BATCH "num_images_per_batch"
        rule("all patches of a step from one case with ratio, one patch from each case with rand") {
        category: Patches,
        example: "3",
        range: range::AT_LEAST_1,
        aliases: &["batch_size"],
    }

    /// Epochs between validations.
    num_epochs_per_validation: usize => NUM_EPOCHS_PER_VALIDATION "num_epochs_per_validation"
        rule("none: sparse at first, dense at the end") {
        category: Schedule,
        example: "5",
        range: range::AT_LEAST_1,
    }

    /// Epochs over which the learning rate rises from a tenth.
    num_warmup_epochs: usize => NUM_WARMUP_EPOCHS "num_warmup_epochs"
        default(3, "3") {
        category: Schedule,
        example: "11",
        search: Search::Range { low: 0.0, high: 20.0, scale: Scale::Linear },
    }

    /// Mixed precision on GPUs: activations in f16, weights and updates in f32; processors compute in f32.
    use_amp: bool => USE_AMP "use_amp"
        default(true, "yes, where the device can") {
        category: Hardware,
        example: "false",
        aliases: &["amp"],
    }

    /// Peak learning rate.
    learning_rate: f64 => LEARNING_RATE "learning_rate"
        default(2e-4, "0.0002") {
        category: Optimization,
        example: "0.0125",
        range: range::POSITIVE,
        aliases: &["optimizer#lr"],
        search: Search::Range { low: 1e-5, high: 1e-2, scale: Scale::Log },
    }

    /// Weight decay: decoupled from the gradients with AdamW, added to them with SGD.
    weight_decay: f64 => WEIGHT_DECAY "weight_decay"
        default(1e-5, "0.00001") {
        category: Optimization,
        example: "0.01",
        range: range::NOT_NEGATIVE,
        aliases: &["optimizer#weight_decay"],
        search: Search::Range { low: 1e-6, high: 1e-3, scale: Scale::Log },
    }

    /// Patch and window in voxels, `[X, Y, Z]`; each axis a multiple of what the network's strides ask.
    roi_size: [usize; 3] => ROI_SIZE "roi_size"
        rule("grown to 224×224×144 voxels within the median image, then a multiple of what the network halves") {
        category: Patches,
        example: "[16, 32, 64]",
        range: range::PATCH,
    }

    /// Patches cut from each case of a step.
    num_crops_per_image: usize => NUM_CROPS_PER_IMAGE "num_crops_per_image"
        rule("all patches of a step from one case with ratio, one patch from each case with rand") {
        category: Patches,
        example: "7",
        range: range::AT_LEAST_1,
    }

    /// Steps per case and epoch, each with fresh crops.
    num_steps_per_image: usize => NUM_STEPS_PER_IMAGE "num_steps_per_image"
        rule("1 where memory holds 0.75 of the cases; else 4 patches of a case each time that it is read") {
        category: Patches,
        example: "13",
        range: range::AT_LEAST_1,
    }

    /// Where patches are cut.
    crop_mode: CropMode => CROP_MODE "crop_mode"
        rule("ratio where the patch for 16 GiB is below 0.8 of the 90th percentile of image sizes on some axis, else rand") {
        category: Patches,
        example: "rand",
        search: Search::All,
    }

    /// Whether algorithms that are not for the cases are skipped.
    allow_skip: bool => ALLOW_SKIP "allow_skip"
        default(true, "yes: planning says which, and why") {
        category: Data,
        example: "false",
        same_run: |_| {},
    }

    /// Whether images are resampled.
    resample: bool => RESAMPLE "resample"
        rule("yes where spacings of cases are below 0.5 or above 1.5 times the target") {
        category: Data,
        example: "true",
    }

    /// Spacing in mm that images are resampled to, `[X, Y, Z]`.
    resample_resolution: [f64; 3] => RESAMPLE_RESOLUTION "resample_resolution"
        rule("as `resample_mode` says") {
        category: Data,
        example: "[1.25, 0.75, 2.5]",
        range: range::SPACING,
    }

    /// How that spacing is chosen from those of the cases, where it is not set.
    resample_mode: ResampleMode => RESAMPLE_MODE "resample_mode"
        default(ResampleMode::Auto, "auto") {
        category: Data,
        example: "ones",
    }

    /// Whether patches, batches and filters may follow the device's memory at all.
    auto_scale_allowed: bool => AUTO_SCALE_ALLOWED "auto_scale_allowed"
        default(true, "yes: batch, patch and filters may follow the memory") {
        category: Hardware,
        example: "false",
    }

    /// Whether more memory gives larger batches.
    auto_scale_batch: bool => AUTO_SCALE_BATCH "auto_scale_batch"
        default(true, "yes: more memory gives larger batches") {
        category: Hardware,
        example: "false",
    }

    /// Whether more memory gives larger patches.
    auto_scale_roi: bool => AUTO_SCALE_ROI "auto_scale_roi"
        default(false, "no: more memory does not give larger patches") {
        category: Hardware,
        example: "true",
    }

    /// Whether small patches give wider networks.
    auto_scale_filters: bool => AUTO_SCALE_FILTERS "auto_scale_filters"
        default(false, "no: small patches do not give wider networks") {
        category: Hardware,
        example: "true",
    }

    /// Intensities that the `range` normalization maps to sigmoid(-1) and sigmoid(1); with swinunetr and
    /// dints, to 0 and 1.
    intensity_bounds: [f64; 2] => INTENSITY_BOUNDS "intensity_bounds"
        rule("0.5 % and 99.5 % of the intensities under labels, averaged over cases") {
        category: Data,
        example: "[-123.0, 456.0]",
        range: range::BOUNDS,
    }

    /// How intensities are normalized.
    normalize_mode: NormalizeMode => NORMALIZE_MODE "normalize_mode"
        rule("range for CT, meanstd over the voxels that are not zero for MR, pet for PET") {
        category: Data,
        example: "none",
    }

    /// Channels of the network's first level.
    init_filters: usize => INIT_FILTERS "network#init_filters"
        rule("32; with auto_scale_filters more for patches below the base patch") {
        category: Network,
        example: "24",
        range: range::AT_LEAST_1,
        search: Search::Range { low: 8.0, high: 64.0, scale: Scale::Log },
    }

    /// Residual blocks of each level of the network.
    blocks_down: Vec<usize> => BLOCKS_DOWN "network#blocks_down"
        rule("as many levels as the shortest side of the patch can be halved, at most 5") {
        category: Network,
        example: "[2, 3]",
        range: range::BLOCKS,
    }

    /// Seed of weights, sampling, augmentation and generated folds.
    seed: u64 => SEED "seed"
        default(0, "0") {
        category: Schedule,
        example: "99",
    }

    /// The version of MONAI whose SwinUNETR is trained, as far as its merging of patches depends on it: one that starts from weights
    /// computes as the one that these were trained with.
    patch_merging: PatchMerging => PATCH_MERGING "network#patch_merging"
        rule("monai_1_5; with init_weights it has to be stated for swinunetr: weights do not tell it") {
        category: Network,
        example: "monai_1_4",
        aliases: &["patch_merging"],
    }

    /// File of weights that the training starts from: all but the last layer, from a checkpoint of PyTorch or from weights of
    /// another run. The file's content is a part of the run, its place is not.
    init_weights: String => INIT_WEIGHTS "init_weights"
        rule("none: random weights") {
        category: Network,
        example: "/data/pretrained.pt",
        range: range::ABSOLUTE_PATH,
    }

    /// Set of random changes to patches.
    augment_mode: AugmentMode => AUGMENT_MODE "augment_mode"
        default(AugmentMode::Default, "default") {
        category: Augmentation,
        example: "mri_1",
        search: Search::All,
    }

    /// Axes on which patches are mirrored at random: 0 left-right, 1 front-back, 2 up-down; none of them for `[]`.
    augment_flips: Vec<usize> => AUGMENT_FLIPS "augment_flips"
        rule("all axes, unless augment_mode is none") {
        category: Augmentation,
        example: "[1, 2]",
        range: range::AXES,
    }

    /// Planes in which patches are turned at random by multiples of 90 degrees, as pairs of axes.
    augment_rots: Vec<[usize; 2]> => AUGMENT_ROTS "augment_rots"
        default(Vec::new(), "no planes") {
        category: Augmentation,
        example: "[[0, 1]]",
        range: range::PLANES,
    }

    /// Weight of each class in the loss, background first.
    class_weights: Vec<f64> => CLASS_WEIGHTS "class_weights"
        rule("none: all classes alike") {
        category: Optimization,
        example: "[1.0, 2.0, 3.0]",
        range: range::CLASS_WEIGHTS,
    }

    /// Largest norm of all gradients together.
    clip_grad_norm: f64 => CLIP_GRAD_NORM "clip_grad_norm"
        rule("none: gradients of any norm") {
        category: Optimization,
        example: "0.5",
        range: range::NORM_LIMIT,
        search: Search::Range { low: 0.1, high: 10.0, scale: Scale::Log },
    }

    /// Decay of the average of the weights over steps, which is then validated and exported.
    ema_decay: f64 => EMA_DECAY "ema_decay"
        rule("none: the weights themselves are validated and exported") {
        category: Optimization,
        example: "0.99",
        range: range::FRACTION,
        search: Search::Range { low: 0.9, high: 0.9999, scale: Scale::Linear },
    }

    /// Relative change of the score below which the training ends early; 0: never.
    early_stopping_fraction: f64 => EARLY_STOPPING_FRACTION "early_stopping_fraction"
        default(
            0.001,
            "0.001: after half of the epochs, end where scores of a tenth of them, at least 10, differ by less"
        ) {
        category: Schedule,
        example: "0.01",
        range: range::FRACTION,
        same_run: |plan| plan.early_stopping_fraction = 0.0,
    }

    /// Whether a score near 0 after a quarter of the epochs is an error.
    stop_on_lowacc: bool => STOP_ON_LOWACC "stop_on_lowacc"
        default(true, "yes: a Dice below 0.01 after a quarter of the epochs, at least 20, is an error") {
        category: Schedule,
        example: "false",
        same_run: |plan| plan.stop_on_lowacc = false,
    }
}

/// All settings, in the order of listings.
pub fn all() -> &'static [&'static dyn AnySetting] {
    ALL
}

/// The setting with this name or alias.
pub fn find(name: &str) -> Option<&'static dyn AnySetting> {
    let mut settings = ALL.iter().copied();
    settings.find(|setting| {
        let definition = setting.definition();
        definition.name == name || definition.aliases.contains(&name)
    })
}

/// All names and aliases.
pub(crate) fn spellings() -> impl Iterator<Item = &'static str> {
    ALL.iter().flat_map(|setting| {
        let definition = setting.definition();
        std::iter::once(definition.name).chain(definition.aliases.iter().copied())
    })
}
