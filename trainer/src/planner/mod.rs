//! The planner: decisions about preprocessing, network and training, from data stats, a task and a budget.

mod autoscale;
mod budget;
mod decision;
mod grid;
mod rules;
mod scale;

pub use crate::memory::MemorySource;
pub use autoscale::{Autoscale, Scaling, autoscale};
pub use budget::Budget;
pub use decision::{Decision, Group};
pub use rules::ALGORITHM;

use thiserror::Error;
use vesal_bundle::DicomRules;
use vesal_bundle::deploy_plan::{self, Activation, Channel, DeployPlan, Modality, PlanError};
use vesal_bundle::dicom_rules::RulesError;
use vesal_network::{ConfigError, NetworkConfig};
use vesal_volume::preprocess::{Normalization, Step};
use vesal_volume::window::{Blend, Padding, WindowPlan};

use crate::analyze::stats::StatsSummary;
use crate::settings::{NormalizeMode, Overrides, registry};
use crate::task::Classes;
use crate::train_plan::{ControlError, TrainPlan};
use decision::Decisions;
use grid::Grid;

/// Voxels kept around the box of voxels above 0.
const FOREGROUND_MARGIN: usize = 10;
/// Factors of the target spacing within which an axis is not resampled.
const KEPT_SPACING: [f64; 2] = [0.75, 1.25];
/// Fraction that neighboring windows share.
const OVERLAP: f64 = 0.625;
/// Standard deviation of a window's weights as a fraction of its side.
const SIGMA_SCALE: f64 = 0.125;

/// Bounds of CT channels that no label lies on.
///
/// **Source**: Auto3DSeg's SegResNet where it has no bounds.
const SOFT_TISSUE_HU: [f64; 2] = [-250.0, 250.0];

/// What the planner has to know of a task.
#[derive(Debug, Clone, Copy)]
pub struct PlannerInput<'a> {
    /// Name of the task.
    pub name: &'a str,
    /// Modality of the first image.
    pub modality: Modality,
    /// Keys and modalities of further images, each a channel on a grid of its own.
    pub extra_modalities: &'a [(String, Modality)],
    pub classes: &'a Classes,
    /// What the plan is to say about DICOM.
    pub dicom: &'a DicomRules,
    /// What the user decides.
    pub overrides: &'a Overrides,
}

/// What the planner decides.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannerOutput {
    /// What inference needs to know.
    pub deploy: DeployPlan,
    /// What only training needs to know.
    pub train: TrainPlan,
    /// Every decision with its reason, in the order taken.
    pub reasons: Vec<Decision>,
}

/// Why there is no plan.
#[derive(Debug, Error)]
pub enum PlannerError {
    /// The patch does not fit the network.
    #[error(
        "`roi_size` is {found:?} voxels, expected multiples of {factor:?}, which the network halves it by: the nearest \
         are {below:?} and {above:?}"
    )]
    RoiSize {
        /// Patch in voxels.
        found: [usize; 3],
        /// What each axis has to be a multiple of.
        factor: [usize; 3],
        /// Nearest patch that is not larger, where there is one.
        below: [usize; 3],
        /// Nearest patch that is not smaller.
        above: [usize; 3],
    },
    /// The foreground has no range of intensities.
    #[error("`intensity_bounds` of channel {channel} are [{low}, {high}], expected low < high")]
    IntensityBounds {
        /// Channel, from 0.
        channel: usize,
        low: f64,
        high: f64,
    },
    /// The network cannot be built.
    #[error(transparent)]
    Network(#[from] ConfigError),
    /// Settings of the training contradict the patch or the classes.
    #[error(transparent)]
    Controls(#[from] ControlError),
    /// What the task says about DICOM does not fit its data.
    #[error("`dicom` of the task does not fit the channels and labels of the plan")]
    Dicom(#[from] RulesError),
    /// The deploy plan breaks a rule of its format.
    #[error(transparent)]
    DeployPlan(#[from] PlanError),
}

impl PlannerError {
    /// What the reader can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::RoiSize { .. } => Some(
                "`--set roi_size=[X, Y, Z]`, or fewer levels with `--set network#blocks_down=[...]`",
            ),
            Self::IntensityBounds { .. } => {
                Some("`--set intensity_bounds=[LOW, HIGH]`, or `--set normalize_mode=meanstd`")
            }
            Self::Network(ConfigError::TooLarge {
                field: "init_filters",
                ..
            }) => Some("`--set auto_scale_filters=false`, or `--set network#init_filters=32`"),
            Self::Controls(error) => error.hint(),
            Self::Network(_) => None,
            Self::Dicom(error) => error.hint(),
            Self::DeployPlan(error) => error.hint(),
        }
    }
}

/// Decides everything that preprocessing, training and deployment need to know.
///
/// **Definition**: the rules of Auto3DSeg's SegResNet; each stands in the `rule` of its [`Decision`]. What the user
/// sets is taken as it is, and what follows from it follows from the user's value. A patch has at most 1024 voxels along
/// a side.
///
/// **Errors**: [`PlannerError`] where the user's settings contradict each other or the data.
pub fn plan(
    stats: &StatsSummary,
    input: &PlannerInput<'_>,
    budget: &Budget,
) -> Result<PlannerOutput, PlannerError> {
    let mut decisions = Decisions::default();
    let overrides = input.overrides;
    let grid = grid::grid(stats, overrides, &mut decisions);
    let classes = input.classes.outputs();
    decisions.group = Group::Network;
    decisions.ruled(
        "output_classes",
        classes,
        "background and every class of the task, or every region where classes overlap",
        format!(
            "{} class names; labels {:?} occur",
            input.classes.names().len(),
            stats.label_stats.labels
        ),
    );
    decisions.ruled(
        "sigmoid",
        input.classes.activation() == Activation::Sigmoid,
        "yes where classes overlap: each is a region by itself",
        "`class_names` of the task",
    );
    let scaled = scale::scale(stats, &grid, classes, budget, overrides, &mut decisions);
    let network: NetworkConfig = rules::network(
        stats.image_stats.channels.max + input.extra_modalities.len(),
        classes,
        &scaled,
        &grid,
        overrides,
        &mut decisions,
    )
    .into();
    network.validate()?;
    decisions.group = Group::Patches;
    let because = scale::because(stats, &grid, classes, network.shape_factor());
    let roi = roi_size(
        &scaled.trained,
        &network,
        overrides,
        &mut decisions,
        because,
    )?;
    decisions.group = Group::Intensities;
    let normalization = normalization(stats, input, &mut decisions)?;
    let train = rules::training(
        stats,
        &scaled,
        &grid,
        network,
        roi,
        &rules::Given {
            overrides,
            host_memory_gib: budget.host_memory_gib,
        },
        &mut decisions,
    );
    train.check_controls()?;
    decisions.group = Group::Patches;
    scale::step_memory(&train, budget, &mut decisions);
    let mut deploy = deploy_plan(input, roi, &grid, normalization);
    input.dicom.apply(&mut deploy)?;
    deploy.validate()?;
    Ok(PlannerOutput {
        deploy,
        train,
        reasons: decisions.taken,
    })
}

/// The patch, checked against the network.
fn roi_size(
    scaled: &Autoscale,
    network: &NetworkConfig,
    overrides: &Overrides,
    decisions: &mut Decisions,
    because: String,
) -> Result<[usize; 3], PlannerError> {
    let factor = network.shape_factor();
    let multiples = |roi: [usize; 3], round: fn(usize, usize) -> usize| {
        std::array::from_fn(|axis| factor[axis] * round(roi[axis], factor[axis]).max(1))
    };
    let longest = deploy_plan::MAX_WINDOW_SIDE;
    let ruled = multiples(scaled.roi.map(|side| side.min(longest)), |side, factor| {
        side / factor
    });
    let found = decisions.by_rule(&registry::ROI_SIZE, overrides.roi_size, ruled, because);
    if (0..3).all(|axis| found[axis].is_multiple_of(factor[axis])) {
        return Ok(found);
    }
    let below = multiples(found, |side, factor| side / factor);
    Err(PlannerError::RoiSize {
        found,
        factor,
        below,
        above: multiples(found, usize::div_ceil),
    })
}

/// One normalization per channel.
fn normalization(
    stats: &StatsSummary,
    input: &PlannerInput<'_>,
    decisions: &mut Decisions,
) -> Result<Vec<Normalization>, PlannerError> {
    let (ruled, modality) = mode_of(input.modality);
    let mode = decisions.by_rule(
        &registry::NORMALIZE_MODE,
        input.overrides.normalize_mode,
        ruled,
        format!("the modality is {modality}"),
    );
    let foreground = &stats.image_foreground_stats.intensity_by_channel;
    let mut channels = Vec::with_capacity(foreground.len() + input.extra_modalities.len());
    for (channel, stats) in foreground.iter().enumerate() {
        let ruled = [stats.percentile_00_5, stats.percentile_99_5];
        let rule = registry::INTENSITY_BOUNDS.rule;
        channels.push(normalize_as(mode, channel, ruled, rule, input, decisions)?);
    }
    for (key, modality) in input.extra_modalities {
        let (ruled, modality) = mode_of(*modality);
        let mode = decisions.ruled(
            "extra_modalities",
            ruled,
            "range for CT, meanstd for MR, pet for PET",
            format!("`{key}` is {modality}"),
        );
        let rule = "soft tissue in HU: labels lie on the grid of the first image";
        let channel = channels.len();
        channels.push(normalize_as(
            mode,
            channel,
            SOFT_TISSUE_HU,
            rule,
            input,
            decisions,
        )?);
    }
    Ok(channels)
}

/// How a modality is normalized, and its name.
fn mode_of(modality: Modality) -> (NormalizeMode, &'static str) {
    match modality {
        Modality::Ct => (NormalizeMode::Range, "ct"),
        Modality::Mri => (NormalizeMode::Meanstd, "mri"),
        Modality::Pet => (NormalizeMode::Pet, "pet"),
    }
}

/// The normalization of one channel; only ranges need bounds.
fn normalize_as(
    mode: NormalizeMode,
    channel: usize,
    ruled: [f64; 2],
    rule: &'static str,
    input: &PlannerInput<'_>,
    decisions: &mut Decisions,
) -> Result<Normalization, PlannerError> {
    match mode {
        NormalizeMode::Meanstd => return Ok(Normalization::ZScoreNonzero),
        NormalizeMode::Meanstdtanh => return Ok(Normalization::ZScoreNonzeroTanh),
        NormalizeMode::Pet => return Ok(Normalization::SigmoidDeviation),
        NormalizeMode::None => return Ok(Normalization::Identity),
        NormalizeMode::Range => {}
    }
    let [low, high] = decisions.take(
        registry::INTENSITY_BOUNDS.name,
        input.overrides.intensity_bounds,
        ruled,
        rule,
        format!("channel {channel}"),
    );
    let as_stored = (low as f32, high as f32);
    if as_stored.0 < as_stored.1 {
        Ok(Normalization::SigmoidRange {
            low: as_stored.0,
            high: as_stored.1,
        })
    } else {
        Err(PlannerError::IntensityBounds { channel, low, high })
    }
}

fn deploy_plan(
    input: &PlannerInput<'_>,
    roi: [usize; 3],
    grid: &Grid,
    normalization: Vec<Normalization>,
) -> DeployPlan {
    let first_channels = normalization.len() - input.extra_modalities.len();
    let name = |index| match first_channels {
        1 => "image".to_owned(),
        _ => format!("image_{index}"),
    };
    let first = (0..first_channels).map(|index| Channel::new(name(index), input.modality));
    let further = input.extra_modalities.iter();
    let further = further.map(|(key, modality)| Channel::new(key.clone(), *modality));
    let one_grid = input.extra_modalities.is_empty();
    let crop = one_grid.then_some(Step::CropForeground {
        threshold: 0.0,
        margin: FOREGROUND_MARGIN,
    });
    let resample = grid.resample.then_some(Step::Resample {
        spacing: grid.spacing,
        keep: KEPT_SPACING,
    });
    let matching = (!one_grid).then_some(Step::ResampleToMatch { first_channels });
    let normalize = Step::Normalize {
        channels: normalization,
    };
    DeployPlan {
        restore: Default::default(),
        name: input.name.to_owned(),
        channels: first.chain(further).collect(),
        labels: input.classes.labels(),
        activation: input.classes.activation(),
        preprocessing: std::iter::once(Step::OrientRas)
            .chain(crop)
            .chain(resample)
            .chain(matching)
            .chain([normalize])
            .collect(),
        window: WindowPlan {
            size: roi,
            overlap: [OVERLAP; 3],
            blend: Blend::Gaussian {
                sigma_scale: SIGMA_SCALE,
            },
            padding: Padding::Constant(0.0),
        },
    }
}
