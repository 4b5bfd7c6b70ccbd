//! The rules of Auto3DSeg's SegResNet for grid, network and training.

use vesal_models::{NetworkConfig, SegResNetDsConfig};

use super::decision::{Decisions, Group, numbers};
use super::scale::Scaled;
use crate::analyze::stats::StatsSummary;
use crate::fit::schedule::validation_epochs;
use crate::task::{Overrides, ResampleMode};
use crate::train_plan::{self, CropMode, TrainPlan};

/// Deep supervision outputs.
const DSDEPTH: usize = 4;
/// Weight decay of AdamW.
const WEIGHT_DECAY: f64 = 1e-5;

/// On which grid the network sees the images.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Grid {
    /// Spacing in mm.
    pub(super) spacing: [f64; 3],
    /// Whether the spacing differs much between axes.
    pub(super) anisotropic: bool,
    /// Whether images are resampled to the spacing.
    pub(super) resample: bool,
}

/// Decides the spacing and what follows from it.
pub(super) fn grid(stats: &StatsSummary, overrides: &Overrides, decisions: &mut Decisions) -> Grid {
    decisions.group = Group::Grid;
    let found = &stats.image_stats.spacing;
    let mode = decisions.take(
        "resample_mode",
        overrides.resample_mode,
        ResampleMode::Auto,
        "auto",
        "",
    );
    let [x, y, z] = found.median;
    let in_plane = 0.5 * (x + y);
    let z_10 = found.percentile_10_0[2];
    let (ruled, rule) = match mode {
        ResampleMode::Auto => (
            [x, y, in_plane.max(z_10)],
            "median in x and y; in z the 10th percentile, at least the mean of x and y",
        ),
        ResampleMode::Median => ([x, y, z], "median"),
        ResampleMode::Median10 => ([x, y, z_10], "median in x and y; in z the 10th percentile"),
        ResampleMode::Ones => ([1.0; 3], "1 mm"),
    };
    let spacing = decisions.take(
        "resample_resolution",
        overrides.resample_resolution,
        ruled,
        rule,
        format!(
            "spacing has the median {} and the 10th percentile {} mm",
            numbers(&found.median),
            numbers(&found.percentile_10_0)
        ),
    );
    let ratio = 0.5 * (spacing[0] + spacing[1]) / spacing[2];
    let anisotropic = decisions.ruled(
        "anisotropic_scales",
        !(0.75..=1.25).contains(&ratio),
        "yes where the mean of x and y over z is not from 0.75 to 1.25",
        format!("it is {ratio:.3}"),
    );
    let (low, high) = (found.percentile_00_5, found.percentile_99_5);
    let far =
        (0..3).any(|axis| low[axis] / spacing[axis] < 0.5 || high[axis] / spacing[axis] > 1.5);
    let resample = decisions.take(
        "resample",
        overrides.resample,
        far,
        "yes where spacings of cases are below 0.5 or above 1.5 times the target",
        format!(
            "spacing has the percentiles 0.5: {} and 99.5: {} mm",
            numbers(&low),
            numbers(&high)
        ),
    );
    Grid {
        spacing,
        anisotropic,
        resample,
    }
}

/// Decides the network.
pub(super) fn network(
    in_channels: usize,
    out_channels: usize,
    scaled: &Scaled,
    grid: &Grid,
    overrides: &Overrides,
    decisions: &mut Decisions,
) -> SegResNetDsConfig {
    decisions.group = Group::Network;
    let levels: &[usize] = match scaled.base.levels {
        1 => &[2],
        2 => &[1, 3],
        3 => &[1, 2, 4],
        4 => &[1, 2, 2, 4],
        _ => &[1, 2, 2, 4, 4],
    };
    SegResNetDsConfig {
        in_channels,
        out_channels,
        init_filters: decisions.take(
            "network#init_filters",
            overrides.init_filters,
            scaled.trained.init_filters,
            "32; with auto_scale_filters more for patches below the base patch",
            "",
        ),
        blocks_down: decisions.take(
            "network#blocks_down",
            overrides.blocks_down.clone(),
            levels.to_vec(),
            "as many levels as the shortest side of the patch can be halved, at most 5",
            format!("{} levels", scaled.base.levels),
        ),
        dsdepth: DSDEPTH,
        resolution: decisions.ruled(
            "network#resolution",
            grid.anisotropic.then_some(grid.spacing),
            "the spacing where it is anisotropic: coarse axes are halved later",
            format!("spacing is {} mm", numbers(&grid.spacing)),
        ),
    }
}

/// Decides the training.
pub(super) fn training(
    stats: &StatsSummary,
    scaled: &Scaled,
    grid: &Grid,
    network: NetworkConfig,
    roi_size: [usize; 3],
    overrides: &Overrides,
    decisions: &mut Decisions,
) -> TrainPlan {
    decisions.group = Group::Patches;
    let size_mm = stats.image_stats.sizemm.percentile_90_0;
    let image: [usize; 3] =
        std::array::from_fn(|axis| (size_mm[axis] / grid.spacing[axis]) as usize);
    let patch = overrides.roi_size.unwrap_or(scaled.base.roi);
    let small = (0..3).any(|axis| (patch[axis] as f64) < 0.8 * image[axis] as f64);
    let crop_mode = decisions.take(
        "crop_mode",
        overrides.crop_mode,
        if small { CropMode::Ratio } else { CropMode::Rand },
        "ratio where the patch for 16 GiB is below 0.8 of the 90th percentile of image sizes on some axis, else rand",
        format!("that patch is {patch:?}, the 90th percentile {image:?} voxels"),
    );
    let (num_images_per_batch, num_crops_per_image) =
        batch(scaled, crop_mode, overrides, decisions);
    let epochs = (80_000.0 / stats.n_cases as f64)
        .ceil()
        .clamp(300.0, 1250.0) as usize;
    let num_steps_per_image = decisions.take(
        "num_steps_per_image",
        overrides.num_steps_per_image,
        1,
        "1: cases stay in memory, none has to be used up while it is there",
        "",
    );
    decisions.group = Group::Schedule;
    let num_epochs = decisions.take(
        "num_epochs",
        overrides.num_epochs,
        epochs / num_crops_per_image.clamp(1, 3),
        "80000 / cases, from 300 to 1250, divided by the crops per image, at most 3",
        format!("{} cases, {num_crops_per_image} crops", stats.n_cases),
    );
    TrainPlan {
        format: train_plan::FORMAT.to_owned(),
        format_version: train_plan::FORMAT_VERSION,
        algorithm: "segresnet".to_owned(),
        network,
        roi_size,
        num_images_per_batch,
        num_crops_per_image,
        num_steps_per_image,
        crop_mode,
        num_epochs,
        num_epochs_per_validation: decisions.take(
            "num_epochs_per_validation",
            overrides.num_epochs_per_validation.map(Some),
            None,
            "none: sparse at first, dense at the end",
            cadence(num_epochs, num_crops_per_image),
        ),
        num_warmup_epochs: decisions.take(
            "num_warmup_epochs",
            overrides.num_warmup_epochs,
            3,
            "3",
            "",
        ),
        learning_rate: decisions.take("learning_rate", overrides.learning_rate, 2e-4, "0.0002", ""),
        weight_decay: WEIGHT_DECAY,
        use_amp: decisions.take(
            "use_amp",
            overrides.use_amp,
            true,
            "yes, where the device can",
            "",
        ),
        seed: decisions.take("seed", overrides.seed, 0, "0", ""),
    }
}

/// The epochs of the default cadence, in words.
fn cadence(num_epochs: usize, num_crops_per_image: usize) -> String {
    let epochs = validation_epochs(num_epochs, None, num_crops_per_image);
    let count = epochs.len();
    match epochs.as_slice() {
        [first, second, .., before, last] => {
            format!("{count} validations: after epochs {first}, {second}, …, {before}, {last}")
        }
        epochs => format!("{count} validations: after epochs {epochs:?}"),
    }
}

/// Cases per step and crops per case.
fn batch(
    scaled: &Scaled,
    crop_mode: CropMode,
    overrides: &Overrides,
    decisions: &mut Decisions,
) -> (usize, usize) {
    let rule = "all patches of a step from one case with ratio, one patch from each case with rand";
    let patches = overrides
        .num_images_per_batch
        .unwrap_or(scaled.trained.batch);
    let because = match overrides.num_images_per_batch {
        Some(patches) => {
            format!("num_images_per_batch={patches}, as set by you, is the number of patches")
        }
        None => format!("patches of a step by memory: {patches}"),
    };
    let (images, crops) = match crop_mode {
        CropMode::Ratio if scaled.allowed => (1, patches),
        CropMode::Ratio | CropMode::Rand => (patches, 1),
    };
    let literally = overrides
        .num_images_per_batch
        .filter(|_| overrides.num_crops_per_image.is_some());
    (
        decisions.take(
            "num_images_per_batch",
            literally,
            images,
            rule,
            because.clone(),
        ),
        decisions.take(
            "num_crops_per_image",
            overrides.num_crops_per_image,
            crops,
            rule,
            because,
        ),
    )
}
