//! The rules of Auto3DSeg's SegResNet for grid, network and training.

use vesal_network::{NetworkConfig, SegResNetDsConfig};

use super::autoscale::INIT_FILTERS;
use super::grid::Grid;
use super::scale::Scaled;
use crate::algorithms::NetworkSize;
use crate::analyze::stats::StatsSummary;
use crate::planner::decision::{Decisions, Group, numbers};
use crate::schedule::validation_epochs;
use crate::settings::{AugmentMode, CropMode, Overrides, registry};
use crate::train_plan::TrainPlan;

/// Number of resolutions at which the loss is computed, from the finest on.
const DSDEPTH: usize = 4;

/// Channels of the first level, and blocks of each level.
pub(crate) fn levels(
    scaled: &Scaled,
    overrides: &Overrides,
    decisions: &mut Decisions,
) -> (usize, Vec<usize>) {
    decisions.group = Group::Network;
    let blocks: &[usize] = match scaled.base.levels {
        1 => &[2],
        2 => &[1, 3],
        3 => &[1, 2, 4],
        4 => &[1, 2, 2, 4],
        _ => &[1, 2, 2, 4, 4],
    };
    let init_filters = decisions.take(
        "network#init_filters",
        overrides.init_filters,
        scaled.trained.init_filters,
        "32; with auto_scale_filters more for patches below the base patch",
        "",
    );
    let blocks_down = decisions.take(
        "network#blocks_down",
        overrides.blocks_down.clone(),
        blocks.to_vec(),
        "as many levels as the shortest side of the patch can be halved, at most 5",
        format!("{} levels", scaled.base.levels),
    );
    (init_filters, blocks_down)
}

pub(crate) fn network(
    in_channels: usize,
    out_channels: usize,
    scaled: &Scaled,
    grid: &Grid,
    overrides: &Overrides,
    decisions: &mut Decisions,
) -> SegResNetDsConfig {
    let (init_filters, blocks_down) = levels(scaled, overrides, decisions);
    SegResNetDsConfig {
        in_channels,
        out_channels,
        init_filters,
        blocks_down,
        dsdepth: DSDEPTH,
        resolution: decisions.ruled(
            "network#resolution",
            grid.anisotropic.then_some(grid.spacing),
            "the spacing where it is anisotropic: coarse axes are halved later",
            format!("spacing is {} mm", numbers(&grid.spacing)),
        ),
    }
}

/// A network without a plan; one of fewer levels has fewer outputs.
pub(crate) fn network_of_size(size: &NetworkSize) -> NetworkConfig {
    let network = SegResNetDsConfig {
        in_channels: size.in_channels,
        out_channels: size.out_channels,
        init_filters: size.init_filters.unwrap_or(INIT_FILTERS),
        blocks_down: size.blocks_down.clone(),
        dsdepth: DSDEPTH.min(size.blocks_down.len()),
        resolution: None,
    };
    network.into()
}

/// Input of the rules: settings of the user and limits of the host.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Given<'a> {
    pub(crate) algorithm: &'static str,
    pub(crate) overrides: &'a Overrides,
    /// Memory for preprocessed cases in GiB; `None`: no limit.
    pub(crate) host_memory_gib: Option<f64>,
    /// Axes along which the algorithm mirrors patches.
    pub(crate) mirrored: &'a [usize],
    pub(crate) mirrored_rule: &'static str,
}

pub(crate) fn training(
    stats: &StatsSummary,
    scaled: &Scaled,
    grid: &Grid,
    network: NetworkConfig,
    roi_size: [usize; 3],
    given: &Given<'_>,
    decisions: &mut Decisions,
) -> TrainPlan {
    let overrides = given.overrides;
    decisions.group = Group::Patches;
    let size_mm = stats.image_stats.sizemm.percentile_90_0;
    let image: [usize; 3] =
        std::array::from_fn(|axis| (size_mm[axis] / grid.spacing[axis]) as usize);
    let patch = overrides.roi_size.unwrap_or(scaled.base.roi);
    let small = (0..3).any(|axis| (patch[axis] as f64) < 0.8 * image[axis] as f64);
    let crop_mode = decisions.by_rule(
        &registry::CROP_MODE,
        overrides.crop_mode,
        if small {
            CropMode::Ratio
        } else {
            CropMode::Rand
        },
        format!("that patch is {patch:?}, the 90th percentile {image:?} voxels"),
    );
    let (num_images_per_batch, num_crops_per_image) =
        batch(scaled, crop_mode, overrides, decisions);
    let num_steps_per_image = steps_per_image(
        stats,
        image,
        num_images_per_batch * num_crops_per_image,
        given,
        decisions,
    );
    let augment_mode = decisions.by_default(&registry::AUGMENT_MODE, overrides.augment_mode);
    let flips: &[usize] = match augment_mode {
        AugmentMode::None => &[],
        _ => given.mirrored,
    };
    let augment_flips = decisions.take(
        registry::AUGMENT_FLIPS.name,
        overrides.augment_flips.clone(),
        flips.to_vec(),
        given.mirrored_rule,
        "leave out axis 0, left to right, where labels tell sides apart",
    );
    let augment_rots =
        decisions.by_default(&registry::AUGMENT_ROTS, overrides.augment_rots.clone());
    let class_weights = decisions.optional(
        &registry::CLASS_WEIGHTS,
        overrides.class_weights.clone(),
        "",
    );
    let clip_grad_norm =
        decisions.optional(&registry::CLIP_GRAD_NORM, overrides.clip_grad_norm, "");
    let ema_decay = decisions.optional(&registry::EMA_DECAY, overrides.ema_decay, "");
    let early_stopping_fraction = decisions.by_default(
        &registry::EARLY_STOPPING_FRACTION,
        overrides.early_stopping_fraction,
    );
    let stop_on_lowacc = decisions.by_default(&registry::STOP_ON_LOWACC, overrides.stop_on_lowacc);
    let epochs = (80_000.0 / stats.n_cases as f64)
        .ceil()
        .clamp(300.0, 1250.0) as usize;
    decisions.group = Group::Schedule;
    let num_epochs = decisions.by_rule(
        &registry::NUM_EPOCHS,
        overrides.num_epochs,
        epochs / num_crops_per_image.clamp(1, 3),
        format!("{} cases, {num_crops_per_image} crops", stats.n_cases),
    );
    TrainPlan {
        algorithm: given.algorithm.to_owned(),
        network,
        roi_size,
        num_images_per_batch,
        num_crops_per_image,
        num_steps_per_image,
        crop_mode,
        num_epochs,
        epochs_per_round: 1,
        num_epochs_per_validation: decisions.optional(
            &registry::NUM_EPOCHS_PER_VALIDATION,
            overrides.num_epochs_per_validation,
            cadence(num_epochs, num_crops_per_image),
        ),
        num_warmup_epochs: decisions
            .by_default(&registry::NUM_WARMUP_EPOCHS, overrides.num_warmup_epochs),
        learning_rate: decisions.by_default(&registry::LEARNING_RATE, overrides.learning_rate),
        weight_decay: decisions.by_default(&registry::WEIGHT_DECAY, overrides.weight_decay),
        use_amp: decisions.by_default(&registry::USE_AMP, overrides.use_amp),
        seed: decisions.by_default(&registry::SEED, overrides.seed),
        augment_mode,
        augment_flips,
        augment_rots,
        class_weights,
        clip_grad_norm,
        ema_decay,
        early_stopping_fraction,
        stop_on_lowacc,
        init_weights: None,
    }
}

/// Memory of a preprocessed case in GiB: intensities in `f32` and classes in `u16`.
pub(crate) fn case_gib(channels: usize, shape: [usize; 3]) -> f64 {
    let voxels: f64 = shape.iter().map(|&side| side as f64).product();
    (4 * channels + 2) as f64 * voxels / (1u64 << 30) as f64
}

/// Decides how many steps are taken on a case before the next one is read.
fn steps_per_image(
    stats: &StatsSummary,
    image: [usize; 3],
    patches: usize,
    given: &Given<'_>,
    decisions: &mut Decisions,
) -> usize {
    let Given {
        overrides,
        host_memory_gib,
        ..
    } = *given;
    let all = stats.n_cases as f64 * case_gib(stats.image_stats.channels.max, image);
    let many = host_memory_gib.is_none_or(|budget| budget >= 0.75 * all);
    let steps = if many { 1 } else { (4 / patches.max(1)).max(1) };
    let budget =
        host_memory_gib.map_or("any amount of".to_owned(), |gib| format!("{gib:.2} GiB of"));
    decisions.by_rule(
        &registry::NUM_STEPS_PER_IMAGE,
        overrides.num_steps_per_image,
        steps,
        format!("all cases take about {all:.2} GiB, {budget} memory may be used"),
    )
}

/// The epochs of the default validation schedule, in words.
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

/// Decides the cases per step and the crops per case.
fn batch(
    scaled: &Scaled,
    crop_mode: CropMode,
    overrides: &Overrides,
    decisions: &mut Decisions,
) -> (usize, usize) {
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
        decisions.by_rule(
            &registry::NUM_IMAGES_PER_BATCH,
            literally,
            images,
            because.clone(),
        ),
        decisions.by_rule(
            &registry::NUM_CROPS_PER_IMAGE,
            overrides.num_crops_per_image,
            crops,
            because,
        ),
    )
}
