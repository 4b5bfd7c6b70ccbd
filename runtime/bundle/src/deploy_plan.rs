//! The deploy plan: everything that inference needs about the data, decided once, at training.

use std::collections::BTreeSet;
use std::path::Path;

use serde::{Deserialize, Serialize};
use vesal_volume::LabelMap;
pub use vesal_volume::postprocess::Activation;
pub use vesal_volume::preprocess::Restore;
use vesal_volume::preprocess::{Step, check_steps, image_channels};
use vesal_volume::window::WindowPlan;

use crate::name;
use vesal_files::document::{self, VersionedDocument};

mod agreement;
mod channel;
mod code;
mod error;
mod labels;
mod limits;

pub use channel::{Channel, MAX_PATTERN_CHARACTERS, MAX_PATTERNS, Modality, PatternError};
pub use code::{
    CodeError, Concept, LabelCode, MAX_MEANING_CHARACTERS, MAX_SCHEME_CHARACTERS,
    MAX_VALUE_CHARACTERS,
};
pub use error::PlanError;
pub use labels::{Label, UnknownLabel};
pub use limits::{
    MAX_CHANNELS, MAX_LABELS, MAX_REGIONS, MAX_STEPS, MAX_WINDOW_SIDE, MAX_WINDOW_VOXELS,
};

/// File name inside a bundle and a work directory.
pub const FILE_NAME: &str = "deploy_plan.json";
/// Everything that turns a case into a label map, except for the networks: `deploy_plan.json`.
///
/// Written by the trainer and copied byte for byte into the bundle; its digest is checked at export and at load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeployPlan {
    /// Name of the task.
    pub name: String,
    /// Input channels in network order.
    pub channels: Vec<Channel>,
    /// Every class in `class_index` order: labels with background, or regions without.
    pub labels: Vec<Label>,
    /// Logits → probabilities → labels.
    pub activation: Activation,
    /// Ordered preprocessing steps.
    pub preprocessing: Vec<Step>,
    pub window: WindowPlan,
    /// The values that are interpolated back to the grid of the input: probabilities, or logits that become
    /// probabilities there.
    #[serde(default, skip_serializing_if = "Restore::is_default")]
    pub restore: Restore,
}

impl VersionedDocument for DeployPlan {
    const FORMAT: &str = "vesal-deploy-plan";
    const VERSION: u32 = 1;
    const MAX_BYTES: u64 = 1 << 20;
}

impl DeployPlan {
    /// Reads and validates a plan.
    ///
    /// **Errors**: [`PlanError`].
    pub fn read(path: &Path) -> Result<Self, PlanError> {
        Self::validated(document::read(path)?)
    }

    /// Parses and validates a plan.
    ///
    /// **Errors**: [`PlanError`].
    pub fn from_json(bytes: &[u8]) -> Result<Self, PlanError> {
        Self::validated(document::parse(bytes, FILE_NAME)?)
    }

    fn validated(self) -> Result<Self, PlanError> {
        self.validate()?;
        Ok(self)
    }

    /// Validates the plan and returns the bytes of its file.
    ///
    /// **Errors**: [`PlanError`].
    pub fn to_json(&self) -> Result<Vec<u8>, PlanError> {
        self.validate()?;
        Ok(document::to_json(self, FILE_NAME)?)
    }

    /// The value of every class, in `class_index` order.
    pub fn label_values(&self) -> Vec<u16> {
        labels::values(&self.labels)
    }

    /// Every label but background; every region.
    pub fn foreground(&self) -> impl Iterator<Item = &Label> {
        let background = usize::from(self.activation == Activation::Softmax);
        self.labels.iter().skip(background)
    }

    /// Channels of each image that a case consists of; see [`image_channels`].
    pub fn image_channels(&self) -> Vec<usize> {
        image_channels(&self.preprocessing, self.channels.len())
    }

    /// Turns a label map of the training data into one of this plan, in place: every voxel gets its label, or all of
    /// its regions.
    ///
    /// **Definition**: where labels state the values that they consist of, every other value is background.
    ///
    /// **Errors**: [`UnknownLabel`]; the map is then as before.
    pub fn translate(&self, map: &mut LabelMap) -> Result<(), UnknownLabel> {
        labels::translate(&self.labels, map)
    }

    /// Checks every rule of the format that the types do not express.
    ///
    /// **Errors**: the first rule that is broken.
    pub fn validate(&self) -> Result<(), PlanError> {
        name::check(&self.name).map_err(|source| PlanError::Name { of: "task", source })?;
        count("channels", self.channels.len(), 1, MAX_CHANNELS)?;
        match self.activation {
            Activation::Softmax => count("labels", self.labels.len(), 2, MAX_LABELS)?,
            Activation::Sigmoid => count("regions", self.labels.len(), 1, MAX_REGIONS)?,
        }
        count(
            "preprocessing steps",
            self.preprocessing.len(),
            0,
            MAX_STEPS,
        )?;
        unique_names(
            "channel",
            "channels named",
            self.channels.iter().map(|channel| channel.name.as_str()),
        )?;
        unique_names(
            "label",
            "labels named",
            self.labels.iter().map(|label| label.name.as_str()),
        )?;
        for channel in &self.channels {
            Channel::check_patterns(&channel.name, &channel.series_descriptions)?;
        }
        labels::validate(&self.labels, self.activation)?;
        for (position, step) in self.preprocessing.iter().enumerate() {
            Self::validate_step(position, step)?;
        }
        check_steps(&self.preprocessing, self.channels.len())?;
        validate_window(&self.window)
    }

    /// Limits on what a plan may ask of a machine.
    fn validate_step(position: usize, step: &Step) -> Result<(), PlanError> {
        let broken = |parameter, found, expected| {
            Err(PlanError::Step {
                position,
                parameter,
                found,
                expected,
            })
        };
        match step {
            Step::CropForeground { threshold, .. } if !threshold.is_finite() => broken(
                "the foreground threshold",
                threshold.to_string(),
                "a finite number",
            ),
            Step::CropForeground { margin, .. } if *margin > MAX_WINDOW_SIDE => {
                broken("the margin in voxels", margin.to_string(), "0 to 1024")
            }
            Step::Resample { spacing, .. }
                if !spacing.iter().all(|mm| (1e-3..=1e3).contains(mm)) =>
            {
                broken(
                    "the spacing in mm",
                    format!("{spacing:?}"),
                    "0.001 to 1000 on every axis",
                )
            }
            Step::OrientRas
            | Step::CropForeground { .. }
            | Step::Resample { .. }
            | Step::ResampleToMatch { .. }
            | Step::Normalize { .. } => Ok(()),
        }
    }
}

fn count(of: &'static str, found: usize, least: usize, most: usize) -> Result<(), PlanError> {
    if (least..=most).contains(&found) {
        Ok(())
    } else {
        Err(PlanError::Count {
            of,
            found,
            least,
            most,
        })
    }
}

fn unique_names<'a>(
    of: &'static str,
    pair: &'static str,
    names: impl Iterator<Item = &'a str>,
) -> Result<(), PlanError> {
    let mut seen = BTreeSet::new();
    for name in names {
        name::check(name).map_err(|source| PlanError::Name { of, source })?;
        if !seen.insert(name) {
            return Err(PlanError::Duplicate {
                of: pair,
                what: format!("`{name}`"),
            });
        }
    }
    Ok(())
}

fn validate_window(window: &WindowPlan) -> Result<(), PlanError> {
    window.validate()?;
    let found = window.size;
    let voxels = found
        .iter()
        .try_fold(1, |voxels: usize, &side| voxels.checked_mul(side));
    if found.iter().any(|&side| side > MAX_WINDOW_SIDE)
        || voxels.is_none_or(|voxels| voxels > MAX_WINDOW_VOXELS)
    {
        return Err(PlanError::WindowSize { found });
    }
    Ok(())
}
