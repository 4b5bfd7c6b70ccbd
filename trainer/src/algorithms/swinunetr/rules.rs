//! Rules that swinunetr and dints share: both see the same grid and the same intensities, and are trained on patches of
//! every case twice per epoch.

use vesal_bundle::deploy_plan::{Modality, Restore};
use vesal_network::NetworkConfig;
use vesal_volume::preprocess::{Normalization, Step};

use crate::algorithms::segresnet::grid;
use crate::analyze::stats::StatsSummary;
use crate::planner::decision::{Decisions, Group, numbers};
use crate::planner::{
    Budget, IntensityRules, PlannerError, PlannerInput, PlannerOutput, StepSize, deploy_plan,
    fitting_patches, normalizations, output_classes, roi_size, step_memory,
};
use crate::settings::{AugmentMode, CropMode, NormalizeMode, Overrides, registry};
use crate::train_plan::TrainPlan;

/// Fraction that neighboring windows share.
const OVERLAP: [f64; 3] = [0.625; 3];
/// Every axis is resampled unless its spacing is the target already.
const KEPT_SPACING: [f64; 2] = [1.0, 1.0];
/// Steps per case and epoch, each on as many crops.
const STEPS_PER_IMAGE: usize = 2;
/// Memory in GiB that the number of patches is planned for where it does not follow the device's.
const BASE_MEMORY_GIB: f64 = 16.0;
const GRADIENT_NORM: f64 = 0.5;
const INTENSITIES: IntensityRules = IntensityRules {
    mode: |modality| match modality {
        Modality::Ct => NormalizeMode::Range,
        Modality::Mri | Modality::Pet => NormalizeMode::Meanstd,
    },
    mode_rule: "range, clipped to 0 and 1, for CT; meanstd over the voxels that are not zero for all others",
    range: |low, high| Normalization::ClippedRange { low, high },
};

/// What differs between the algorithms; texts are the rules of decisions.
pub(crate) struct RoundRules {
    pub(crate) algorithm: &'static str,
    /// Channels of the network's first level.
    pub(crate) filters: usize,
    pub(crate) filters_rule: &'static str,
    /// The network of input channels, output channels and channels of the first level.
    pub(crate) network: fn(usize, usize, usize) -> NetworkConfig,
    /// Sides that a patch may have, the longest first; the last one is for all shorter images.
    pub(crate) sides: &'static [usize],
    pub(crate) sides_rule: &'static str,
    /// Multiple of the memory that a patch of dints takes.
    pub(crate) memory_factor: f64,
    /// Epochs of the training, by patch and patches per step.
    pub(crate) epochs: fn(&StatsSummary, [usize; 3], usize) -> usize,
    pub(crate) epochs_rule: &'static str,
    pub(crate) epochs_per_round: usize,
    /// Epochs of warm-up, by all epochs.
    pub(crate) warmup: fn(usize) -> usize,
    pub(crate) warmup_rule: &'static str,
    pub(crate) validations_rule: &'static str,
    pub(crate) learning_rate: f64,
    pub(crate) weight_decay: f64,
    pub(crate) early_stopping_rule: &'static str,
    /// Planes in which patches are turned, where their sides are equal.
    pub(crate) turned: &'static [[usize; 2]],
    pub(crate) restore: Restore,
    /// Numbers per parameter that the optimizer keeps.
    pub(crate) moments: u64,
}

/// Decides everything by Auto3DSeg's rules; each is stated in the `rule` of its [`Decision`](crate::planner::Decision).
///
/// **Errors**: [`PlannerError`].
pub(crate) fn plan(
    rules: &RoundRules,
    stats: &StatsSummary,
    input: &PlannerInput<'_>,
    budget: &Budget,
) -> Result<PlannerOutput, PlannerError> {
    let mut decisions = Decisions::default();
    let overrides = input.overrides;
    let spacing = resampled_spacing(stats, overrides, &mut decisions);
    let classes = output_classes(stats, input, &mut decisions);
    let filters = decisions.take(
        registry::INIT_FILTERS.name,
        overrides.init_filters,
        rules.filters,
        rules.filters_rule,
        "",
    );
    let channels = stats.image_stats.channels.max + input.extra_modalities.len();
    let network = (rules.network)(channels, classes, filters);
    network.validate()?;
    let largest = stats.image_stats.shape.max;
    let roi = roi_size(
        largest.map(|side| patch_side(rules.sides, side)),
        rules.sides_rule,
        &network,
        overrides,
        &mut decisions,
        format!("the largest image has {largest:?} voxels as it is stored, in RAS"),
    )?;
    let step = StepSize {
        network: &network,
        patch: roi,
        use_amp: overrides.use_amp.unwrap_or_else(registry::USE_AMP.default),
        averages: overrides.ema_decay.is_some(),
        moments: rules.moments,
    };
    let patches = patches_by_memory(rules, classes, step, budget, overrides, &mut decisions);
    tell_unused(overrides, &mut decisions);
    let normalizations = normalizations(&INTENSITIES, stats, input, &mut decisions)?;
    let preprocessing = preprocessing(input, spacing, normalizations);
    let train = training(
        rules,
        stats,
        network,
        roi,
        patches,
        overrides,
        &mut decisions,
    );
    train.check_controls()?;
    step_memory(&train, rules.moments, budget, &mut decisions);
    let mut deploy = deploy_plan(input, channels, preprocessing, train.roi_size, OVERLAP)?;
    deploy.restore = rules.restore;
    Ok(PlannerOutput {
        deploy,
        train,
        reasons: decisions.taken,
    })
}

/// The longest of the sides that an image with this side fills, or the shortest.
fn patch_side(sides: &[usize], image: usize) -> usize {
    let filled = sides.iter().find(|&&side| image >= side);
    filled.or(sides.last()).copied().unwrap_or(image)
}

/// Decides the spacing that images are resampled to; `None` where the user wants them as they are.
fn resampled_spacing(
    stats: &StatsSummary,
    overrides: &Overrides,
    decisions: &mut Decisions,
) -> Option<[f64; 3]> {
    let median = stats.image_stats.spacing.median;
    let mixed = median.iter().any(|&mm| mm > 1.0 + f64::EPSILON)
        && median.iter().any(|&mm| mm < 1.0 - f64::EPSILON);
    let auto = (
        if mixed { [1.0; 3] } else { median },
        "median; 1 mm on every axis where the median is above 1 mm on one axis and below it on another",
    );
    let spacing = grid::spacing(stats, auto, overrides, decisions);
    let resample = decisions.take(
        registry::RESAMPLE.name,
        overrides.resample,
        true,
        "always, every axis whose spacing is another",
        format!("the spacing is {} mm", numbers(&spacing)),
    );
    resample.then_some(spacing)
}

/// The steps in order. Images of one grid are normalized first, and cropped to what is above the range's lower end
/// where they are clipped; where images are matched, this happens on the grid of the first, and nothing is cropped.
fn preprocessing(
    input: &PlannerInput<'_>,
    spacing: Option<[f64; 3]>,
    normalizations: Vec<Normalization>,
) -> Vec<Step> {
    let first_channels = normalizations.len() - input.extra_modalities.len();
    let clipped = |channel: &Normalization| matches!(channel, Normalization::ClippedRange { .. });
    let crop = normalizations
        .iter()
        .any(clipped)
        .then_some(Step::CropForeground {
            threshold: 0.0,
            margin: 0,
        });
    let resample = spacing.map(|spacing| Step::Resample {
        spacing,
        keep: KEPT_SPACING,
    });
    let normalize = Step::Normalize {
        channels: normalizations,
    };
    if input.extra_modalities.is_empty() {
        let geometry = crop.into_iter().chain([Step::OrientRas]).chain(resample);
        return std::iter::once(normalize).chain(geometry).collect();
    }
    std::iter::once(Step::OrientRas)
        .chain(resample)
        .chain([Step::ResampleToMatch { first_channels }, normalize])
        .collect()
}

/// Decides the patches of a step: Auto3DSeg's number, or as many of them as fit, or the user's.
fn patches_by_memory(
    rules: &RoundRules,
    classes: usize,
    step: StepSize<'_>,
    budget: &Budget,
    overrides: &Overrides,
    decisions: &mut Decisions,
) -> [usize; 2] {
    decisions.group = Group::Patches;
    let memory_gib = budget.recorded(decisions);
    let allowed = decisions.by_default(&registry::AUTO_SCALE_ALLOWED, overrides.auto_scale_allowed);
    let follows = decisions.by_default(&registry::AUTO_SCALE_BATCH, overrides.auto_scale_batch);
    let planned_gib = if allowed && follows {
        memory_gib
    } else {
        BASE_MEMORY_GIB
    };
    let ruled = decisions.ruled(
        "num_patches_per_iter",
        patches_of_step(planned_gib, classes, rules.memory_factor),
        "2 to 9 patches from the memory of 2 patches to that of 9, on a straight line, which goes on; at least 1. The \
         memory is all that the device has less 1 GiB, where Auto3DSeg takes what is free at that moment",
        format!("{} GiB, {classes} classes", numbers(&[planned_gib])),
    );
    let fitting = fitting_patches(ruled, step, budget);
    let because = match fitting {
        _ if fitting < ruled => {
            format!("a step of {ruled} patches would not fit the device by estimate")
        }
        _ => format!("a step of {ruled} patches fits the device by estimate"),
    };
    // As with segresnet, a number of images alone is the number of patches.
    let patches = overrides.num_images_per_batch.unwrap_or(fitting);
    let literally = overrides
        .num_images_per_batch
        .filter(|_| overrides.num_crops_per_image.is_some());
    [
        decisions.take(
            registry::NUM_IMAGES_PER_BATCH.name,
            literally,
            1,
            "1: the patches of two cases are mixed and dealt out to their steps",
            "",
        ),
        decisions.take(
            registry::NUM_CROPS_PER_IMAGE.name,
            overrides.num_crops_per_image,
            patches,
            "num_patches_per_iter, or as many of them as a step may have on the device",
            match overrides.num_images_per_batch {
                Some(patches) => format!(
                    "num_images_per_batch={patches}, as set by you, is the number of patches"
                ),
                None => because,
            },
        ),
    ]
}

/// Patches of a step that Auto3DSeg plans for this memory.
///
/// **Definition**: 2 patches take `6 + 14 (classes - 2) / 103` GiB and 9 patches `24 + 50 (classes - 2) / 103`, both times
/// `factor`; in between and beyond, the number is linear in the memory less 1 GiB (at least 1), and cut off. At least 1.
fn patches_of_step(memory_gib: f64, classes: usize, factor: f64) -> usize {
    let memory = (memory_gib - 1.0).max(1.0);
    let more = classes as f64 - 2.0;
    let two = factor * (6.0 + 14.0 * more / 103.0);
    let nine = factor * (24.0 + 50.0 * more / 103.0);
    ((2.0 + 7.0 * (memory - two) / (nine - two)) as usize).max(1)
}

/// Says which settings of the user are for other algorithms.
fn tell_unused(overrides: &Overrides, decisions: &mut Decisions) {
    decisions.group = Group::Network;
    for (name, set) in [
        (registry::BLOCKS_DOWN.name, overrides.blocks_down.is_some()),
        (
            registry::AUTO_SCALE_ROI.name,
            overrides.auto_scale_roi.is_some(),
        ),
        (
            registry::AUTO_SCALE_FILTERS.name,
            overrides.auto_scale_filters.is_some(),
        ),
    ] {
        if set {
            let because = format!("`{name}`, as set by you, is not for this algorithm");
            decisions.ruled(name, None::<()>, "none", because);
        }
    }
}

fn training(
    rules: &RoundRules,
    stats: &StatsSummary,
    network: NetworkConfig,
    roi_size: [usize; 3],
    [num_images_per_batch, num_crops_per_image]: [usize; 2],
    overrides: &Overrides,
    decisions: &mut Decisions,
) -> TrainPlan {
    decisions.group = Group::Patches;
    let num_steps_per_image = decisions.take(
        registry::NUM_STEPS_PER_IMAGE.name,
        overrides.num_steps_per_image,
        STEPS_PER_IMAGE,
        "2: each case gives twice the patches of a step",
        "",
    );
    let crop_mode = decisions.take(
        registry::CROP_MODE.name,
        overrides.crop_mode,
        CropMode::Ratio,
        "ratio",
        "",
    );
    let augment_mode = decisions.by_default(&registry::AUGMENT_MODE, overrides.augment_mode);
    let augments = augment_mode != AugmentMode::None;
    let flips: &[usize] = if augments { &[0, 1, 2] } else { &[] };
    let augment_flips = decisions.by_rule(
        &registry::AUGMENT_FLIPS,
        overrides.augment_flips.clone(),
        flips.to_vec(),
        "leave out axis 0, left to right, where labels tell sides apart",
    );
    let turned = rules.turned.iter().copied();
    let turned = turned.filter(|[a, b]| augments && roi_size[*a] == roi_size[*b]);
    let augment_rots = decisions.take(
        registry::AUGMENT_ROTS.name,
        overrides.augment_rots.clone(),
        turned.collect(),
        "the algorithm's planes, if any, whose sides are equal, unless augment_mode is none",
        format!("planes {:?}, patch {roi_size:?}", rules.turned),
    );
    let class_weights = decisions.optional(
        &registry::CLASS_WEIGHTS,
        overrides.class_weights.clone(),
        "",
    );
    let clip_grad_norm = decisions.take(
        registry::CLIP_GRAD_NORM.name,
        overrides.clip_grad_norm.map(Some),
        Some(GRADIENT_NORM),
        "0.5",
        "",
    );
    let ema_decay = decisions.optional(&registry::EMA_DECAY, overrides.ema_decay, "");
    let early_stopping_fraction = decisions.take(
        registry::EARLY_STOPPING_FRACTION.name,
        overrides.early_stopping_fraction,
        (registry::EARLY_STOPPING_FRACTION.default)(),
        rules.early_stopping_rule,
        "",
    );
    let stop_on_lowacc = decisions.by_default(&registry::STOP_ON_LOWACC, overrides.stop_on_lowacc);
    decisions.group = Group::Schedule;
    let patches = num_images_per_batch * num_crops_per_image;
    let num_epochs = decisions.take(
        registry::NUM_EPOCHS.name,
        overrides.num_epochs,
        (rules.epochs)(stats, roi_size, patches).max(rules.epochs_per_round),
        rules.epochs_rule,
        format!("{} cases, {patches} patches", stats.n_cases),
    );
    let epochs_per_round = decisions.ruled(
        "epochs_per_round",
        rules.epochs_per_round.min(num_epochs),
        "of the algorithm; at most all epochs",
        "a round is what the learning rate changes after",
    );
    decisions.ruled(
        "rounds",
        num_epochs / epochs_per_round.max(1),
        "whole rounds; epochs after the last one are not trained",
        "",
    );
    TrainPlan {
        algorithm: rules.algorithm.to_owned(),
        network,
        roi_size,
        num_images_per_batch,
        num_crops_per_image,
        num_steps_per_image,
        crop_mode,
        num_epochs,
        epochs_per_round,
        num_epochs_per_validation: decisions.take(
            registry::NUM_EPOCHS_PER_VALIDATION.name,
            overrides.num_epochs_per_validation.map(Some),
            None,
            rules.validations_rule,
            "",
        ),
        num_warmup_epochs: decisions.take(
            registry::NUM_WARMUP_EPOCHS.name,
            overrides.num_warmup_epochs,
            (rules.warmup)(num_epochs),
            rules.warmup_rule,
            "",
        ),
        learning_rate: decisions.take(
            registry::LEARNING_RATE.name,
            overrides.learning_rate,
            rules.learning_rate,
            "of the algorithm",
            "",
        ),
        weight_decay: decisions.take(
            registry::WEIGHT_DECAY.name,
            overrides.weight_decay,
            rules.weight_decay,
            "of the algorithm",
            "",
        ),
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
    }
}
