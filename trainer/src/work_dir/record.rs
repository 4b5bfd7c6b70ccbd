//! The record of a work directory: `work.json`.

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

/// `work.json`: the location of the data, and the inputs of each stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkRecord {
    /// Folder that the datalist's paths are relative to; itself relative to the work directory.
    pub dataroot: String,
    pub fold_source: FoldSource,
    pub folds: Vec<usize>,
    /// Settings of command lines; they take precedence over those of the task.
    pub settings: Overrides,
    pub device_memory_gib: f64,
    #[serde(default)]
    pub device_memory_source: MemorySource,
    /// Memory of the host to plan for, in GiB; `None` before the first plan.
    #[serde(default)]
    pub host_memory_gib: Option<f64>,
    /// Inputs of the analysis, once it is done.
    pub analysis: Option<AnalysisRecord>,
    /// Plans at the root of the directory, made before there were several algorithms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanRecord>,
    /// Algorithms of a command line; they take precedence over those of the task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithms: Option<Vec<String>>,
    /// Inputs of the plans of each algorithm, once made.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub plans: BTreeMap<String, PlanRecord>,
    /// Skipped algorithms with the reasons.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub skipped: BTreeMap<String, String>,
}

impl VersionedDocument for WorkRecord {
    const FORMAT: &str = WorkFolds::FORMAT;
    const VERSION: u32 = WorkFolds::VERSION;
    const MAX_BYTES: u64 = WorkFolds::MAX_BYTES;
}

impl WorkRecord {
    pub(super) fn budget(&self) -> Budget {
        Budget {
            device_memory_gib: self.device_memory_gib,
            source: self.device_memory_source,
            host_memory_gib: self.host_memory_gib,
        }
    }
}

/// Inputs and result of an analysis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnalysisRecord {
    /// SHA-256 over the cases, the sizes of their files, the labels and the measures.
    pub inputs: String,
    /// Optional measures.
    #[serde(default)]
    pub measures: Measures,
    /// SHA-256 of `datastats.yaml`.
    pub data_stats: String,
    /// Labels besides 0 that occur, where the task names no classes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub found_labels: Vec<u16>,
    /// Cases that cannot be used; later stages do not read them.
    pub excluded: Vec<ExcludedCase>,
}

/// Inputs and result of the planning of an algorithm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanRecord {
    /// SHA-256 over all inputs of the planner.
    pub inputs: String,
    /// SHA-256 of `datastats.yaml`.
    pub data_stats: String,
    /// SHA-256 of `deploy_plan.json`.
    pub deploy_plan: String,
    /// SHA-256 of `train_plan.json`.
    pub train_plan: String,
}
