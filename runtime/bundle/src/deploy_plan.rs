//! The deploy plan: everything inference needs to know about the data, decided once, at training.

use serde::{Deserialize, Serialize};
use vesal_volume::preprocess::Step;
use vesal_volume::window::WindowPlan;

/// Name of this format in the file itself.
pub const FORMAT: &str = "vesal-deploy-plan";
/// Version of the format that this code writes and reads.
pub const FORMAT_VERSION: u32 = 1;

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
}

/// How logits become probabilities, and probabilities labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// Classes exclude each other: softmax, then argmax; class 0 is background.
    Softmax,
}

/// A value of the written label map.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// Name that people read.
    pub name: String,
    /// Value in the label map.
    pub value: u16,
    /// Output channel of the network.
    pub class_index: usize,
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
    /// Every class including background, in `class_index` order.
    pub labels: Vec<Label>,
    /// Logits → probabilities → labels.
    pub activation: Activation,
    /// Ordered preprocessing steps.
    pub preprocessing: Vec<Step>,
    /// Sliding window.
    pub window: WindowPlan,
}
