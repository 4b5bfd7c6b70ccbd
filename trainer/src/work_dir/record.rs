//! What a work directory remembers about itself: `work.json`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use vesal_bundle::work_dir::WorkFolds;
use vesal_files::VersionedDocument;

use crate::analyze::Measures;
use crate::analyze::stats::ExcludedCase;
use crate::folds::FoldSource;
use crate::memory::MemorySource;
use crate::planner::Budget;
use crate::settings::Overrides;

/// `work.json`: where the data are, and from what each stage was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkRecord {
    /// Folder that the datalist's paths start from, itself starting from the work directory.
    pub dataroot: String,
    /// Where the folds come from.
    pub fold_source: FoldSource,
    /// Folds to train.
    pub folds: Vec<usize>,
    /// Settings from command lines; they win over those of the task.
    pub settings: Overrides,
    /// Memory of the device to plan for, in GiB.
    pub device_memory_gib: f64,
    /// Where that number comes from.
    #[serde(default)]
    pub device_memory_source: MemorySource,
    /// Memory of the host to plan for, in GiB; none before the first plan.
    #[serde(default)]
    pub host_memory_gib: Option<f64>,
    /// The data stats, once measured.
    pub analysis: Option<AnalysisRecord>,
    /// Plans at the root of the directory, made before there were several algorithms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanRecord>,
    /// Algorithms from a command line; they win over those of the task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithms: Option<Vec<String>>,
    /// The plans of each algorithm, once made.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub plans: BTreeMap<String, PlanRecord>,
    /// Algorithms that are not for the cases, and why.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub skipped: BTreeMap<String, String>,
}

impl VersionedDocument for WorkRecord {
    const FORMAT: &str = WorkFolds::FORMAT;
    const VERSION: u32 = WorkFolds::VERSION;
    const MAX_BYTES: u64 = WorkFolds::MAX_BYTES;
}

impl WorkRecord {
    /// The memory to plan for.
    pub(super) fn budget(&self) -> Budget {
        Budget {
            device_memory_gib: self.device_memory_gib,
            source: self.device_memory_source,
            host_memory_gib: self.host_memory_gib,
        }
    }
}

/// From what the data stats were made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnalysisRecord {
    /// SHA-256 over the cases, the sizes of their files, the labels and what was measured.
    pub inputs: String,
    /// What was measured because it was asked for.
    #[serde(default)]
    pub measures: Measures,
    /// SHA-256 of `datastats.yaml`.
    pub data_stats: String,
    /// Cases that cannot be used; no stage after the analysis reads them.
    pub excluded: Vec<ExcludedCase>,
}

/// From what the plans of an algorithm were made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanRecord {
    /// SHA-256 over everything that the planner was told.
    pub inputs: String,
    /// SHA-256 of `datastats.yaml`.
    pub data_stats: String,
    /// SHA-256 of `deploy_plan.json`.
    pub deploy_plan: String,
    /// SHA-256 of `train_plan.json`.
    pub train_plan: String,
}
