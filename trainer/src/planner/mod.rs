//! What planners of all algorithms share: what they are told and give, decisions with their reasons, and the rules that
//! do not depend on the algorithm.

mod budget;
pub(crate) mod decision;
mod deploy;
mod network;
mod normalization;
mod step_memory;

pub use crate::memory::MemorySource;
pub use budget::Budget;
pub use decision::{Decision, Group};
pub(crate) use deploy::deploy_plan;
pub(crate) use network::{output_classes, roi_size};
pub(crate) use normalization::normalizations;
pub(crate) use step_memory::step_memory;

use thiserror::Error;
use vesal_bundle::DicomRules;
use vesal_bundle::deploy_plan::{DeployPlan, Modality, PlanError};
use vesal_bundle::dicom_rules::RulesError;
use vesal_network::ConfigError;

use crate::settings::Overrides;
use crate::task::Classes;
use crate::train_plan::{ControlError, TrainPlan};

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
