//! The part of planning that all algorithms share: input and output, decisions with reasons, and rules that do not
//! depend on the algorithm.

mod budget;
pub(crate) mod decision;
mod deploy;
pub(crate) mod initial_weights;
mod network;
mod normalization;
mod step_memory;

pub use crate::memory::MemorySource;
pub use budget::Budget;
pub use decision::{Decision, Group};
pub(crate) use deploy::deploy_plan;
pub(crate) use network::{output_classes, roi_size};
pub(crate) use normalization::{IntensityRules, normalizations};
pub(crate) use step_memory::{StepSize, fitting_patches, step_memory};

use std::path::PathBuf;

use thiserror::Error;
use vesal_bundle::DicomRules;
use vesal_bundle::deploy_plan::{DeployPlan, Modality, PlanError};
use vesal_bundle::dicom_rules::RulesError;
use vesal_network::{ConfigError, WindowSizeError};

use crate::initial_weights::InitialWeightsError;
use crate::settings::Overrides;
use crate::task::Classes;
use crate::train_plan::{ControlError, TrainPlan};

/// The part of a task that planning needs.
#[derive(Debug, Clone, Copy)]
pub struct PlannerInput<'a> {
    pub name: &'a str,
    /// Modality of the first image.
    pub modality: Modality,
    /// Keys and modalities of secondary images, each a channel on a grid of its own.
    pub extra_modalities: &'a [(String, Modality)],
    pub classes: &'a Classes,
    pub dicom: &'a DicomRules,
    pub overrides: &'a Overrides,
}

#[derive(Debug, Clone, PartialEq)]
pub struct PlannerOutput {
    /// Decisions that inference needs.
    pub deploy: DeployPlan,
    /// Decisions that only training needs.
    pub train: TrainPlan,
    /// All decisions with their reasons, in the order made.
    pub reasons: Vec<Decision>,
}

#[derive(Debug, Error)]
pub enum PlannerError {
    /// The patch does not suit the network.
    #[error(
        "`roi_size` is {found:?} voxels, expected multiples of {factor:?}, which the network halves it by: the nearest \
         are {below:?} and {above:?}"
    )]
    RoiSize {
        /// Patch in voxels.
        found: [usize; 3],
        /// Each axis of the patch has to be a multiple of this.
        factor: [usize; 3],
        /// Nearest valid patch that is not larger, where there is one.
        below: [usize; 3],
        /// Nearest valid patch that is not smaller.
        above: [usize; 3],
    },
    /// A patch that is too small for the network.
    #[error(transparent)]
    Window(#[from] WindowSizeError),
    /// The foreground of a channel has no range of intensities.
    #[error("`intensity_bounds` of channel {channel} are [{low}, {high}], expected low < high")]
    IntensityBounds {
        /// Channel, from 0.
        channel: usize,
        low: f64,
        high: f64,
    },
    #[error(transparent)]
    Network(#[from] ConfigError),
    /// Settings of the training contradict the patch or the classes.
    #[error(transparent)]
    Controls(#[from] ControlError),
    /// A network whose function the weights to start from do not tell.
    #[error(
        "`init_weights` do not tell how the SwinUNETR merges patches: MONAI before 1.5 merged them in another order than MONAI since"
    )]
    PatchMerging,
    /// The weights to start from are not those of the network, or cannot be read.
    #[error("cannot start from the weights `{}`", path.display())]
    InitialWeights {
        path: PathBuf,
        source: Box<InitialWeightsError>,
    },
    /// The task's DICOM rules do not suit its data.
    #[error("`dicom` of the task does not fit the channels and labels of the plan")]
    Dicom(#[from] RulesError),
    /// The deploy plan breaks a rule of its format.
    #[error(transparent)]
    DeployPlan(#[from] PlanError),
}

impl PlannerError {
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::RoiSize { .. } => Some(
                "`--set roi_size=[X, Y, Z]`, or fewer levels with `--set network#blocks_down=[...]`",
            ),
            Self::Window(_) => Some("a larger `--set roi_size=[X, Y, Z]`"),
            Self::IntensityBounds { .. } => {
                Some("`--set intensity_bounds=[LOW, HIGH]`, or `--set normalize_mode=meanstd`")
            }
            Self::Network(ConfigError::TooLarge {
                field: "init_filters",
                ..
            }) => Some("`--set auto_scale_filters=false`, or `--set network#init_filters=32`"),
            Self::Controls(error) => error.hint(),
            Self::PatchMerging => Some(
                "`--set network#patch_merging=monai_1_4` for weights that MONAI up to 1.4 trained, such as those that Auto3DSeg starts from; \
                 `monai_1_5` for those of later versions and of Vesal",
            ),
            Self::InitialWeights { source, .. } => source.hint(),
            Self::Network(_) => None,
            Self::Dicom(error) => error.hint(),
            Self::DeployPlan(error) => error.hint(),
        }
    }
}
