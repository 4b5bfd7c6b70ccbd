//! The run record, `run.json`: what one training of (algorithm, plan, fold) hands to the exporter.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Name of this format in the file itself.
pub const FORMAT: &str = "vesal-run";
/// Version of the format that this code writes and reads.
pub const FORMAT_VERSION: u32 = 1;
/// File name inside a run directory.
pub const FILE_NAME: &str = "run.json";

/// A file named relative to the record that names it, with its digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileRef {
    /// Relative path with forward slashes; may climb with `..` inside a work directory, never inside a bundle.
    pub path: String,
    /// SHA-256 of its bytes, lowercase hexadecimal.
    pub sha256: String,
}

/// Validation score of a run's best weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Score {
    /// Epoch (1-based) whose weights were kept.
    pub epoch: usize,
    /// Mean over labels of the mean Dice over validation cases in which the label is present.
    pub mean_dice: f64,
    /// The same per label name; absent from every validation case: null.
    pub dice_by_label: BTreeMap<String, Option<f64>>,
    /// Number of validation cases.
    pub cases: usize,
}

/// What a finished training hands over. `N` is the network's description (`vesal_models::NetworkConfig`), generic
/// because the runtime subtree knows no networks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunRecord<N> {
    /// Always [`FORMAT`].
    pub format: String,
    /// Always [`FORMAT_VERSION`].
    pub format_version: u32,
    /// Algorithm name: `segresnet`.
    pub algorithm: String,
    /// Which fold was held out.
    pub fold: usize,
    /// Network that the weights belong to.
    pub network: N,
    /// Best weights (safetensors).
    pub weights: FileRef,
    /// Deploy plan that the run was trained under.
    pub deploy_plan: FileRef,
    /// Data stats that the plan came from.
    pub data_stats: FileRef,
    /// Best validation score.
    pub score: Score,
    /// Versions of the programs and libraries that trained it, by name.
    pub versions: BTreeMap<String, String>,
}
