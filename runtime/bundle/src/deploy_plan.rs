//! The deploy plan: everything inference needs to know about the data, decided once, at training.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::{Deserialize, Serialize};
use thiserror::Error;
pub use vesal_volume::postprocess::Activation;
use vesal_volume::preprocess::{PreprocessError, Step, check_steps, image_channels};
use vesal_volume::window::{WindowError, WindowPlan};

use crate::document::{self, DocumentError};
use crate::name::{self, NameError};

/// Name of this format in the file itself.
pub const FORMAT: &str = "vesal-deploy-plan";
/// Version of the format that this code writes and reads.
pub const FORMAT_VERSION: u32 = 1;
/// File name inside a bundle and a work directory.
pub const FILE_NAME: &str = "deploy_plan.json";
/// Largest file in bytes.
pub const MAX_FILE_BYTES: u64 = 1 << 20;
/// Largest number of channels.
pub const MAX_CHANNELS: usize = 64;
/// Largest number of labels including background.
pub const MAX_LABELS: usize = 1024;
/// Largest number of regions that may overlap: each is a bit of a label map's 16.
pub const MAX_REGIONS: usize = 16;
/// Largest number of preprocessing steps.
pub const MAX_STEPS: usize = 32;
/// Longest side of a window in voxels.
pub const MAX_WINDOW_SIDE: usize = 1024;
/// Largest window in voxels.
pub const MAX_WINDOW_VOXELS: usize = 1 << 27;

const KIND: document::Kind = document::Kind {
    format: FORMAT,
    version: FORMAT_VERSION,
    limit_bytes: MAX_FILE_BYTES,
};

/// One input component of a case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Channel {
    /// Name, unique within the plan: `image` for single-channel tasks.
    pub name: String,
    /// What produced it.
    pub modality: Modality,
}

/// Imaging modality of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Modality {
    /// Computed tomography, Hounsfield units.
    Ct,
    /// Magnetic resonance, arbitrary units.
    Mri,
    /// Positron emission tomography, activity or uptake.
    Pet,
}

/// A label, or a region that may overlap others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// Name that people read.
    pub name: String,
    /// Value in the label map; for a region the bit `2^class_index`, and a voxel holds the sum of its regions' bits.
    pub value: u16,
    /// Output channel of the network.
    pub class_index: usize,
    /// Values in the label maps of the training data that make it up; absent: `value` itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<Vec<u16>>,
}

/// What turns a case into a label map, apart from the networks: `deploy_plan.json`.
///
/// Written by the trainer and copied byte for byte into the bundle; its digest is checked at export and at load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeployPlan {
    /// Always [`FORMAT`].
    pub format: String,
    /// Always [`FORMAT_VERSION`].
    pub format_version: u32,
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
    /// Sliding window.
    pub window: WindowPlan,
}

/// Why a deploy plan cannot be used.
#[derive(Debug, Error)]
pub enum PlanError {
    /// Not readable as a deploy plan of this version.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// A name breaks the rules for names.
    #[error("the deploy plan has an unusable name of its {of}")]
    Name {
        /// Whose name: task, channel or label.
        of: &'static str,
        /// The rule.
        source: NameError,
    },
    /// Too few or too many of something.
    #[error("the deploy plan has {found} {of}, expected {least} to {most}")]
    Count {
        /// Of what: channels, labels, preprocessing steps.
        of: &'static str,
        /// How many there are.
        found: usize,
        /// Smallest allowed number.
        least: usize,
        /// Largest allowed number.
        most: usize,
    },
    /// Two channels or labels share a name or a value.
    #[error("the deploy plan has two {of} {what}")]
    Duplicate {
        /// Of what.
        of: &'static str,
        /// What they share.
        what: String,
    },
    /// Labels are not listed by class index 0, 1, 2, …
    #[error("label `{label}` has class index {found}, expected {expected}")]
    ClassIndex {
        /// Name of the label.
        label: String,
        /// Its class index.
        found: usize,
        /// Its position.
        expected: usize,
    },
    /// Class 0 is background and is written as 0.
    #[error("label `{label}` of class index 0 has value {found}, expected 0 for background")]
    Background {
        /// Name of the label.
        label: String,
        /// Its value.
        found: u16,
    },
    /// A region is not the bit of its class.
    #[error("region `{label}` has value {found}, expected {expected}, the bit of its class index")]
    Region {
        /// Name of the region.
        label: String,
        /// Its value.
        found: u16,
        /// Its bit.
        expected: u16,
    },
    /// A label is made up of nothing, or of the same twice.
    #[error(
        "label `{label}` is made up of the values {found:?}, expected at least one, each once and above 0"
    )]
    Index {
        /// Name of the label.
        label: String,
        /// Its index.
        found: Vec<u16>,
    },
    /// Two labels that exclude each other are made up of one value.
    #[error("labels `{first}` and `{second}` are both made up of the value {value}")]
    SharedIndex {
        /// The first label.
        first: String,
        /// The other.
        second: String,
        /// The value.
        value: u16,
    },
    /// A preprocessing step has a parameter out of range.
    #[error("preprocessing step {position}: {parameter} is {found}, expected {expected}")]
    Step {
        /// Position of the step, from 0.
        position: usize,
        /// The parameter, with its unit.
        parameter: &'static str,
        /// Its value.
        found: String,
        /// The range.
        expected: &'static str,
    },
    /// A preprocessing step cannot be executed.
    #[error("the deploy plan's preprocessing is unusable")]
    Preprocessing(#[from] PreprocessError),
    /// Windows of this plan cannot be placed.
    #[error("the deploy plan's window is unusable")]
    Window(#[from] WindowError),
    /// A window larger than any network takes.
    #[error(
        "the window has {found:?} voxels, expected at most {MAX_WINDOW_SIDE} along every axis and {MAX_WINDOW_VOXELS} in all"
    )]
    WindowSize {
        /// Its size in voxels.
        found: [usize; 3],
    },
}

impl PlanError {
    /// A remedy, where there is one.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Document(error) => error.hint(),
            _ => None,
        }
    }
}

impl DeployPlan {
    /// Reads and validates a plan.
    ///
    /// **Errors**: [`PlanError`].
    pub fn read(path: &Path) -> Result<Self, PlanError> {
        let bytes = document::read_limited(path, MAX_FILE_BYTES)?;
        Self::parse(&bytes, &document::file_name(path))
    }

    /// Parses and validates a plan.
    ///
    /// **Errors**: [`PlanError`].
    pub fn from_json(bytes: &[u8]) -> Result<Self, PlanError> {
        Self::parse(bytes, FILE_NAME)
    }

    fn parse(bytes: &[u8], name: &str) -> Result<Self, PlanError> {
        let plan: Self = document::parse(bytes, name, KIND)?;
        plan.validate()?;
        Ok(plan)
    }

    /// Validates the plan and gives the bytes of its file.
    ///
    /// **Errors**: [`PlanError`].
    pub fn to_json(&self) -> Result<Vec<u8>, PlanError> {
        self.validate()?;
        Ok(document::to_json(self, FILE_NAME)?)
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
        self.validate_labels()?;
        for (position, step) in self.preprocessing.iter().enumerate() {
            Self::validate_step(position, step)?;
        }
        check_steps(&self.preprocessing, self.channels.len())?;
        validate_window(&self.window)
    }

    fn validate_labels(&self) -> Result<(), PlanError> {
        let mut values = BTreeSet::new();
        for (expected, label) in self.labels.iter().enumerate() {
            let found = label.class_index;
            if found != expected {
                return Err(PlanError::ClassIndex {
                    label: label.name.clone(),
                    found,
                    expected,
                });
            }
            self.validate_value(label)?;
            if !values.insert(label.value) {
                return Err(PlanError::Duplicate {
                    of: "labels of value",
                    what: label.value.to_string(),
                });
            }
        }
        self.validate_indices()
    }

    fn validate_value(&self, label: &Label) -> Result<(), PlanError> {
        let (found, name) = (label.value, || label.name.clone());
        match self.activation {
            Activation::Softmax if label.class_index == 0 && found != 0 => {
                Err(PlanError::Background {
                    label: name(),
                    found,
                })
            }
            Activation::Sigmoid if found != 1 << label.class_index => Err(PlanError::Region {
                label: name(),
                found,
                expected: 1 << label.class_index,
            }),
            Activation::Softmax | Activation::Sigmoid => Ok(()),
        }
    }

    /// What labels are made up of; only regions may share a value.
    fn validate_indices(&self) -> Result<(), PlanError> {
        let mut owners: BTreeMap<u16, &Label> = BTreeMap::new();
        for label in &self.labels {
            let Some(index) = &label.index else { continue };
            let distinct: BTreeSet<_> = index.iter().collect();
            if index.is_empty() || distinct.len() < index.len() || index.contains(&0) {
                return Err(PlanError::Index {
                    label: label.name.clone(),
                    found: index.clone(),
                });
            }
            for &value in index {
                if let (Activation::Softmax, Some(first)) =
                    (self.activation, owners.insert(value, label))
                {
                    return Err(PlanError::SharedIndex {
                        first: first.name.clone(),
                        second: label.name.clone(),
                        value,
                    });
                }
            }
        }
        Ok(())
    }

    /// The value of every class, in `class_index` order.
    pub fn label_values(&self) -> Vec<u16> {
        self.labels.iter().map(|label| label.value).collect()
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

    /// What each value in a label map of the training data is in a label map of this plan; `None` for values that the
    /// plan does not know.
    ///
    /// **Definition**: where labels say what they are made up of, every other value is background.
    pub fn annotated_value(&self, annotated: u16) -> Option<u16> {
        let made_up = self.labels.iter().any(|label| label.index.is_some());
        let holds = |label: &&Label| match &label.index {
            Some(index) => index.contains(&annotated),
            None => !made_up && label.value == annotated,
        };
        let mut holding = self.labels.iter().filter(holds).map(|label| label.value);
        match holding.next() {
            Some(first) => Some(holding.fold(first, |all, value| all | value)),
            None => (made_up || annotated == 0).then_some(0),
        }
    }

    /// Limits that keep a plan from asking for more than any machine has.
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
