//! The planner: decisions about preprocessing, network and training, from data stats, a task and a budget.

mod autoscale;
mod decision;
mod rules;

pub use autoscale::{Autoscale, autoscale};
pub use decision::Decision;

use thiserror::Error;
use vesal_bundle::deploy_plan::{
    self, Activation, Channel, DeployPlan, Label, Modality, PlanError,
};
use vesal_models::{ConfigError, NetworkConfig, SegResNetDsConfig};
use vesal_volume::preprocess::{Normalization, Step};
use vesal_volume::window::{Blend, Padding, WindowPlan};

use crate::analyze::stats::StatsSummary;
use crate::task::{NormalizeMode, Overrides};
use crate::train_plan::{ControlError, TrainPlan};
use decision::Decisions;

/// Voxels kept around the box of voxels above 0.
const FOREGROUND_MARGIN: usize = 10;
/// Factors of the target spacing within which an axis is not resampled.
const KEPT_SPACING: [f64; 2] = [0.75, 1.25];
/// Fraction that neighboring windows share.
const OVERLAP: f64 = 0.625;
/// Standard deviation of a window's weights as a fraction of its side.
const SIGMA_SCALE: f64 = 0.125;

/// What the planner has to know of a task.
#[derive(Debug, Clone, Copy)]
pub struct Goal<'a> {
    /// Name of the task.
    pub name: &'a str,
    /// Modality of all channels.
    pub modality: Modality,
    /// Names of labels 1, 2, ….
    pub class_names: &'a [String],
    /// What the user decides.
    pub overrides: &'a Overrides,
}

/// What the training may use.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Budget {
    /// Memory of the device in GiB.
    pub device_memory_gib: f64,
    /// Memory of the host that may hold preprocessed cases, in GiB; none: any amount.
    pub host_memory_gib: Option<f64>,
}

impl Default for Budget {
    /// The memory that the reference's rules are made for.
    fn default() -> Self {
        Self {
            device_memory_gib: 16.0,
            host_memory_gib: None,
        }
    }
}

/// What the planner decides.
#[derive(Debug, Clone, PartialEq)]
pub struct Plans {
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
        /// Lower bound.
        low: f64,
        /// Upper bound.
        high: f64,
    },
    /// The network cannot be built.
    #[error(transparent)]
    Network(#[from] ConfigError),
    /// Settings of the training contradict the patch or the classes.
    #[error(transparent)]
    Controls(#[from] ControlError),
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
            Self::Controls(error) => error.hint(),
            Self::Network(_) => None,
            Self::DeployPlan(error) => error.hint(),
        }
    }
}

/// Decides everything that preprocessing, training and deployment need to know.
///
/// **Definition**: the rules of Auto3DSeg's SegResNet; each stands in the `rule` of its [`Decision`]. What the user
/// sets is taken as it is, and what follows from it follows from the user's value.
///
/// **Errors**: [`PlannerError`] where the user's settings contradict each other or the data.
pub fn plan(stats: &StatsSummary, goal: &Goal<'_>, budget: &Budget) -> Result<Plans, PlannerError> {
    let mut decisions = Decisions::default();
    let overrides = goal.overrides;
    let grid = rules::grid(stats, overrides, &mut decisions);
    let classes = goal.class_names.len() + 1;
    decisions.ruled(
        "output_classes",
        classes,
        "background and every class of the task",
        format!(
            "{} class names; labels {:?} occur",
            classes - 1,
            stats.label_stats.labels
        ),
    );
    let scaled = autoscale(
        stats.image_stats.sizemm.median,
        grid.spacing,
        grid.anisotropic,
        classes,
        budget.device_memory_gib,
    );
    let network = rules::network(
        stats.image_stats.channels.max,
        classes,
        &scaled,
        &grid,
        overrides,
        &mut decisions,
    );
    network.validate()?;
    let roi = roi_size(&scaled, &network, overrides, &mut decisions)?;
    let normalization = normalization(stats, goal, &mut decisions)?;
    let network = NetworkConfig::SegresnetDs(network);
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
    let deploy = deploy_plan(goal, roi, &grid, normalization);
    deploy.validate()?;
    Ok(Plans {
        deploy,
        train,
        reasons: decisions.0,
    })
}

/// The patch, checked against the network.
fn roi_size(
    scaled: &Autoscale,
    network: &SegResNetDsConfig,
    overrides: &Overrides,
    decisions: &mut Decisions,
) -> Result<[usize; 3], PlannerError> {
    let factor = network.shape_factor();
    let multiples = |roi: [usize; 3], round: fn(usize, usize) -> usize| {
        std::array::from_fn(|axis| factor[axis] * round(roi[axis], factor[axis]).max(1))
    };
    let longest = deploy_plan::MAX_WINDOW_SIDE;
    let ruled = multiples(scaled.roi.map(|side| side.min(longest)), |side, factor| {
        side / factor
    });
    let found = decisions.take(
        "roi_size",
        overrides.roi_size,
        ruled,
        "grown to 224×224×144 voxels within the median image, then a multiple of what the network halves",
        format!("network halves by {factor:?}"),
    );
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
    goal: &Goal<'_>,
    decisions: &mut Decisions,
) -> Result<Vec<Normalization>, PlannerError> {
    let (ruled, modality) = match goal.modality {
        Modality::Ct => (NormalizeMode::Range, "ct"),
        Modality::Mri => (NormalizeMode::Meanstd, "mri"),
    };
    let mode = decisions.take(
        "normalize_mode",
        goal.overrides.normalize_mode,
        ruled,
        "range for CT, meanstd over the voxels that are not zero for MR",
        format!("the modality is {modality}"),
    );
    let foreground = &stats.image_foreground_stats.intensity_by_channel;
    match mode {
        NormalizeMode::Meanstd => Ok(vec![Normalization::ZScoreNonzero; foreground.len()]),
        NormalizeMode::None => Ok(vec![Normalization::Identity; foreground.len()]),
        NormalizeMode::Range => {
            let bounds = foreground.iter().enumerate().map(|(channel, stats)| {
                let [low, high] = decisions.take(
                    "intensity_bounds",
                    goal.overrides.intensity_bounds,
                    [stats.percentile_00_5, stats.percentile_99_5],
                    "0.5 % and 99.5 % of the intensities under labels, averaged over cases",
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
            });
            bounds.collect()
        }
    }
}

fn deploy_plan(
    goal: &Goal<'_>,
    roi: [usize; 3],
    grid: &rules::Grid,
    normalization: Vec<Normalization>,
) -> DeployPlan {
    let count = normalization.len();
    let channel = |index: usize| Channel {
        name: if count == 1 {
            "image".to_owned()
        } else {
            format!("image_{index}")
        },
        modality: goal.modality,
    };
    let names = std::iter::once("background").chain(goal.class_names.iter().map(String::as_str));
    let label = |(index, name): (usize, &str)| Label {
        name: name.to_owned(),
        value: index as u16,
        class_index: index,
    };
    let crop = Step::CropForeground {
        threshold: 0.0,
        margin: FOREGROUND_MARGIN,
    };
    let resample = grid.resample.then_some(Step::Resample {
        spacing: grid.spacing,
        keep: KEPT_SPACING,
    });
    let normalize = Step::Normalize {
        channels: normalization,
    };
    DeployPlan {
        format: deploy_plan::FORMAT.to_owned(),
        format_version: deploy_plan::FORMAT_VERSION,
        name: goal.name.to_owned(),
        channels: (0..count).map(channel).collect(),
        labels: names.enumerate().map(label).collect(),
        activation: Activation::Softmax,
        preprocessing: [Step::OrientRas, crop]
            .into_iter()
            .chain(resample)
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
