//! The work directory: all files that one stage writes and another one reads.
//!
//! ```text
//! task.yaml               the task, with what the datalist tells of it
//! datalist.json           cases with their folds, paths relative to the data root
//! work.json               data root, settings, and digests of the inputs of each stage
//! datastats.yaml          statistics of the dataset
//! datastats_by_case.yaml  statistics of the dataset and of each case
//! findings.json           findings of the analysis
//! <algorithm>/            deploy_plan.json and train_plan.json
//! <algorithm>_<fold>/     one run per algorithm and fold
//! ```
//!
//! The files contain no absolute paths: the data root in `work.json` is relative to the work directory, so that both
//! can be moved together. If only one is moved, `--dataroot` or `VESAL_DATAROOT` gives the data root. A stage is
//! repeated only if its inputs have changed. Every file is replaced atomically.

mod error;
mod facts;
mod files;
mod memory;
mod planning;
mod plans;
mod record;
mod run_names;
mod runs;
mod set_up;
mod stages;

pub use error::{Fault, WorkError};
pub use planning::{PlanOutcome, PlanReasons, Planning};
pub use record::{AnalysisRecord, PlanRecord, WorkRecord};
pub use run_names::RunNames;
pub use set_up::Request;
pub use stages::Made;

use std::path::{Path, PathBuf};

use serde::Serialize;
use vesal_cases::datalist::Datalist;
use vesal_files::{atomic, digest, document};

use crate::algorithms::Algorithm;
use crate::analyze::findings::Findings;
use crate::planner::Budget;
use crate::task::{Classes, Task, TaskRemark};
use files::{FINDINGS, RECORD};

#[derive(Debug)]
pub struct WorkDir {
    path: PathBuf,
    dataroot: PathBuf,
    task: Task,
    /// `None` before the analysis of a task without class names.
    classes: Option<Classes>,
    datalist: Datalist,
    record: WorkRecord,
    /// Algorithms of the command line, of the task, or the default one; at least one.
    chosen: Vec<&'static Algorithm>,
    remarks: Vec<TaskRemark>,
}

impl WorkDir {
    pub fn folds(&self) -> &[usize] {
        &self.record.folds
    }

    /// Number of cases with folds.
    pub fn cases(&self) -> usize {
        self.datalist.training.len()
    }

    /// Whether the data root exists.
    pub fn has_data(&self) -> bool {
        self.dataroot.is_dir()
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Names of the classes to segment; empty before the analysis of a task without class names.
    pub fn class_names(&self) -> &[String] {
        self.classes.as_ref().map_or(&[], Classes::names)
    }

    /// Classes that the analysis found, where the task names none.
    pub fn found_classes(&self) -> Option<&Classes> {
        let found = self.classes.as_ref();
        found.filter(|_| self.task.classes.is_none())
    }

    /// What was filled in when the directory was set up, and what has no effect; empty where it was opened.
    pub fn remarks(&self) -> &[TaskRemark] {
        &self.remarks
    }

    /// Findings of the analysis.
    ///
    /// **Errors**: [`WorkError`] where there was no analysis, or `findings.json` does not follow its format.
    pub fn findings(&self) -> Result<Findings, WorkError> {
        match document::read(&self.findings_path()) {
            Err(error) if error.is_absent() => Err(WorkError::StageMissing {
                missing: FINDINGS.to_owned(),
                command: "vesal-train analyze",
            }),
            other => Ok(other?),
        }
    }

    pub fn findings_path(&self) -> PathBuf {
        self.path.join(FINDINGS)
    }

    pub fn is_analyzed(&self) -> bool {
        self.record.analysis.is_some()
    }

    pub fn budget(&self) -> Budget {
        self.record.budget()
    }

    /// Changes the memory to plan for; plans for another amount are then out of date.
    ///
    /// **Errors**: the record cannot be written.
    pub fn set_budget(&mut self, budget: Budget) -> Result<(), WorkError> {
        self.record.device_memory_gib = budget.device_memory_gib;
        self.record.device_memory_source = budget.source;
        self.record.host_memory_gib = budget.host_memory_gib;
        self.write_record()
    }

    fn write_record(&self) -> Result<(), WorkError> {
        Ok(document::write(&self.path.join(RECORD), &self.record)?)
    }

    fn write_yaml(&self, name: &str, value: &impl Serialize) -> Result<(), WorkError> {
        let path = self.path.join(name);
        let text = serde_yaml_ng::to_string(value).map_err(|source| WorkError::Yaml {
            path: path.clone(),
            source: source.into(),
        })?;
        Ok(atomic::write_file(&path, text.as_bytes(), true)?)
    }

    /// SHA-256 of a file of the directory; `None` where it cannot be read.
    fn digest(&self, name: &str) -> Option<String> {
        digest::sha256_file(&self.path.join(name))
            .ok()
            .map(|(_, sha256)| sha256)
    }
}
