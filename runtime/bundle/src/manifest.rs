//! The manifest, `manifest.json`: what a bundle holds and where it came from.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::run_record::Score;

/// Name of this format in the file itself.
pub const FORMAT: &str = "vesal-bundle";
/// Version of the format that this code writes and reads.
pub const FORMAT_VERSION: u32 = 1;
/// File name inside a bundle.
pub const FILE_NAME: &str = "manifest.json";

/// Size and digest of one file of the bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Size in bytes.
    pub bytes: u64,
    /// SHA-256, lowercase hexadecimal.
    pub sha256: String,
}

/// One ONNX network of the ensemble.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Path of its ONNX file in the bundle.
    pub file: String,
    /// Weight of its probabilities in the ensemble's mean; positive.
    pub weight: f64,
    /// Where it came from.
    pub provenance: MemberProvenance,
}

/// Origin of a member.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum MemberProvenance {
    /// Trained by vesal-train.
    Trained {
        /// Algorithm name.
        algorithm: String,
        /// Held-out fold.
        fold: usize,
        /// Its validation score.
        score: Score,
        /// SHA-256 of the weights file.
        weights_sha256: String,
        /// Versions of the programs and libraries that trained it, by name.
        versions: BTreeMap<String, String>,
    },
    /// Imported from a MONAI checkpoint.
    ImportedMonai {
        /// File name of the checkpoint, without folders.
        checkpoint: String,
        /// SHA-256 of the checkpoint.
        checkpoint_sha256: String,
        /// The checkpoint's own `epoch`, if it has one.
        epoch: Option<u64>,
        /// The checkpoint's own `best_metric`, if it has one.
        best_metric: Option<f64>,
    },
}

/// Where the bundle as a whole came from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// Versions of the programs and libraries that exported it, by name.
    pub versions: BTreeMap<String, String>,
    /// SHA-256 of the data stats behind the plan; null for imported networks.
    pub data_stats_sha256: Option<String>,
}

/// What is the same for every ONNX network of the bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkInterface {
    /// ONNX operator set of the default domain.
    pub opset: i64,
    /// Name of the input, `[N, C, X, Y, Z]` with static C, X, Y, Z and free N.
    pub input: String,
    /// Name of the output, `[N, K, X, Y, Z]` logits.
    pub output: String,
}

/// `manifest.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Always [`FORMAT`].
    pub format: String,
    /// Always [`FORMAT_VERSION`].
    pub format_version: u32,
    /// Name of the task.
    pub name: String,
    /// Path of the deploy plan.
    pub deploy_plan: String,
    /// Path of the probe.
    pub probe: String,
    /// Common interface of the networks.
    pub network: NetworkInterface,
    /// Networks; their probabilities are averaged with their weights.
    pub members: Vec<Member>,
    /// Origin.
    pub provenance: Provenance,
    /// Every file of the bundle except the manifest itself, by relative path with forward slashes.
    pub files: BTreeMap<String, FileEntry>,
}
