//! The work directory: all files that one stage writes and another one reads.
//!
//! ```text
//! task.yaml               the task, as given
//! datalist.json           cases with their folds, paths relative to the data root
//! work.json               where the data are; from what each stage was made
//! datastats.yaml          facts about all cases; datastats_by_case.yaml: about each
//! findings.json           what is wrong or odd with them
//! <algorithm>/            deploy_plan.json: what inference needs to know; train_plan.json: what only training needs to know
//! <algorithm>_<fold>/ ... one run per algorithm and fold
//! ```
//!
//! No file holds an absolute path: the data root in `work.json` starts from the work directory, so that both can move
//! together; where the data are elsewhere, `--dataroot` or `VESAL_DATAROOT` tells it. A stage is done again
//! only where what it was made from has changed. Every file is replaced in one step.

mod error;
mod facts;
mod memory;
mod planning;
mod plans;
mod record;
mod run_names;
mod runs;
mod stages;

pub use error::{Fault, WorkError};
pub use planning::{PlanOutcome, PlanReasons, Planning};
pub use record::{AnalysisRecord, PlanRecord, WorkRecord};
pub use run_names::RunNames;
pub use stages::Made;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use vesal_bundle::deploy_plan;
use vesal_bundle::work_dir;
use vesal_cases::datalist::Datalist;
use vesal_files::{atomic, digest, document, regular};

use crate::algorithms::{self, Algorithm};
use crate::analyze::findings::Findings;
use crate::folds;
use crate::planner::Budget;
use crate::relative;
use crate::settings::Overrides;
use crate::task::Task;
use crate::train_plan;
use crate::yaml;

const TASK: &str = "task.yaml";
const DATALIST: &str = "datalist.json";
const RECORD: &str = work_dir::FILE_NAME;
const DATA_STATS: &str = "datastats.yaml";
const DATA_STATS_BY_CASE: &str = "datastats_by_case.yaml";
/// Limit of data stats in bytes; a case has some kilobytes.
const MAX_STATS_BYTES: u64 = 1 << 30;
const FINDINGS: &str = "findings.json";
const DEPLOY_PLAN: &str = deploy_plan::FILE_NAME;
const TRAIN_PLAN: &str = train_plan::FILE_NAME;

/// Changes to a work directory by a command line; `None` and empty fields leave it unchanged.
#[derive(Debug, Clone, Copy, Default)]
pub struct Request<'a> {
    /// Task to set up the directory with.
    pub input: Option<&'a Path>,
    /// Names of algorithms, instead of those of the task or the directory; an empty list returns to those of the task.
    pub algorithms: Option<&'a [String]>,
    /// Number of folds; used when the directory is set up.
    pub folds: Option<usize>,
    /// `NAME=VALUE` settings.
    pub settings: &'a [String],
    /// Folder of the data, instead of that of the task or the directory.
    pub dataroot: Option<&'a Path>,
    /// Memory of the host to plan for, in GiB.
    pub host_memory_gib: Option<f64>,
}

#[derive(Debug)]
pub struct WorkDir {
    path: PathBuf,
    dataroot: PathBuf,
    task: Task,
    datalist: Datalist,
    record: WorkRecord,
    /// Algorithms of the command line, of the task, or the default one; at least one.
    chosen: Vec<&'static Algorithm>,
}

impl WorkDir {
    /// Sets up a work directory with `request.input`, or opens an existing one, and records the settings.
    ///
    /// **Definition**: a new task replaces the old one; files of later stages are kept until these stages find them out
    /// of date.
    ///
    /// **Errors**: [`WorkError`].
    pub fn prepare(path: &Path, request: &Request<'_>) -> Result<Self, WorkError> {
        let earlier: Option<WorkRecord> = match read_record(path) {
            Ok(record) => Some(record),
            Err(WorkError::NotSetUp { .. }) if request.input.is_some() => None,
            Err(error) => return Err(error),
        };
        let mut settings = earlier
            .as_ref()
            .map(|record| record.settings.clone())
            .unwrap_or_default();
        request
            .settings
            .iter()
            .try_for_each(|text| settings.set_text(text))?;
        let named = match request.algorithms {
            Some(names) => names.to_vec(),
            None => earlier
                .as_ref()
                .and_then(|record| record.algorithms.clone())
                .unwrap_or_default(),
        };
        let named = algorithms::parse(named.iter().map(String::as_str))?;
        let remembered = earlier.as_ref().and_then(|record| record.host_memory_gib);
        let host_memory_gib = request.host_memory_gib.or(remembered);
        let mut work = match (request.input, earlier) {
            (Some(input), earlier) => Self::set_up(path, input, request, earlier, settings)?,
            (None, Some(earlier)) => {
                let dataroot = match request.dataroot {
                    Some(dataroot) => portable(path, &present(dataroot.to_owned())?),
                    None => earlier.dataroot.clone(),
                };
                let record = WorkRecord {
                    dataroot,
                    settings,
                    ..earlier
                };
                Self::open_with(path, record, request.dataroot)?
            }
            (None, None) => {
                return Err(WorkError::NotSetUp {
                    path: path.to_owned(),
                });
            }
        };
        work.record.host_memory_gib = host_memory_gib;
        let names = named.iter().map(|algorithm| algorithm.name.to_owned());
        work.record.algorithms = (!named.is_empty()).then(|| names.collect());
        work.chosen = choose(named, &work.task);
        work.write_record()?;
        Ok(work)
    }

    /// Opens a work directory without changing it; `dataroot` is the folder of the data, if they have moved.
    ///
    /// **Errors**: [`WorkError`].
    pub fn open(path: &Path, dataroot: Option<&Path>) -> Result<Self, WorkError> {
        Self::open_with(path, read_record(path)?, dataroot)
    }

    fn set_up(
        path: &Path,
        input: &Path,
        request: &Request<'_>,
        earlier: Option<WorkRecord>,
        settings: Overrides,
    ) -> Result<Self, WorkError> {
        let unusable = |source| WorkError::Task {
            path: input.to_owned(),
            source,
        };
        let (task, task_bytes) = Task::read(input).map_err(unusable)?;
        let datalist_path = task.locate_datalist(input).map_err(unusable)?;
        let dataroot = present(match request.dataroot {
            Some(dataroot) => dataroot.to_owned(),
            None => task.locate_dataroot(input).map_err(unusable)?,
        })?;
        let bytes = read(&datalist_path)?;
        let mut datalist =
            Datalist::from_json(&bytes, &dataroot, &task.further_keys()).map_err(|source| {
                WorkError::Datalist {
                    path: datalist_path,
                    source,
                }
            })?;
        let seed = settings.over(&task.overrides).seed.unwrap_or(0);
        let folds = folds::assign(&mut datalist, request.folds.or(task.num_fold), seed)?;
        std::fs::create_dir_all(path).map_err(|source| WorkError::MakeDirectory {
            path: path.to_owned(),
            source,
        })?;
        let dataroot_text = portable(path, &dataroot);
        let task_bytes = task
            .relocated(task_bytes, DATALIST, &dataroot_text)
            .map_err(unusable)?;
        atomic::write_file(&path.join(TASK), &task_bytes, true)?;
        atomic::write_file(&path.join(DATALIST), &datalist.to_json(), true)?;
        let memory = earlier.as_ref().map(WorkRecord::budget).unwrap_or_default();
        let (analysis, plan, plans) = earlier
            .map(|record| (record.analysis, record.plan, record.plans))
            .unwrap_or_default();
        let record = WorkRecord {
            dataroot: dataroot_text,
            fold_source: folds.source,
            folds: folds.runs,
            settings,
            device_memory_gib: memory.device_memory_gib,
            device_memory_source: memory.source,
            host_memory_gib: memory.host_memory_gib,
            analysis,
            plan,
            algorithms: None,
            plans,
            skipped: BTreeMap::new(),
        };
        let chosen = choose(Vec::new(), &task);
        Ok(Self {
            path: path.to_owned(),
            dataroot,
            task,
            datalist,
            record,
            chosen,
        })
    }

    fn open_with(
        path: &Path,
        record: WorkRecord,
        dataroot: Option<&Path>,
    ) -> Result<Self, WorkError> {
        let dataroot = dataroot.map_or_else(|| path.join(&record.dataroot), Path::to_owned);
        let file = path.join(TASK);
        let (task, _) =
            Task::read(&file).map_err(|source| WorkError::Task { path: file, source })?;
        let list = path.join(DATALIST);
        let datalist = Datalist::from_json(&read(&list)?, &dataroot, &task.further_keys())
            .map_err(|source| WorkError::Datalist { path: list, source })?;
        let names = record.algorithms.iter().flatten().map(String::as_str);
        let chosen = choose(algorithms::parse(names)?, &task);
        Ok(Self {
            path: path.to_owned(),
            dataroot,
            task,
            datalist,
            record,
            chosen,
        })
    }

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

    /// Names of the classes to segment.
    pub fn class_names(&self) -> &[String] {
        self.task.classes.names()
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

/// The named algorithms, or else those of the task, or the default one.
fn choose(named: Vec<&'static Algorithm>, task: &Task) -> Vec<&'static Algorithm> {
    let sources = [named, task.algorithms.clone()];
    let first = sources.into_iter().find(|source| !source.is_empty());
    first.unwrap_or_else(|| vec![algorithms::DEFAULT])
}

/// The data root as an absolute path; it has to exist.
fn present(dataroot: PathBuf) -> Result<PathBuf, WorkError> {
    if !dataroot.is_dir() {
        return Err(WorkError::NoDataroot { path: dataroot });
    }
    std::path::absolute(&dataroot).map_err(|source| WorkError::Read {
        path: dataroot,
        source,
    })
}

/// The data root relative to the work directory; absolute where no relative path exists, as between drives.
fn portable(work_dir: &Path, dataroot: &Path) -> String {
    let full = |path: &Path| {
        path.canonicalize()
            .unwrap_or_else(|_| std::path::absolute(path).unwrap_or_else(|_| path.to_owned()))
    };
    let (from, to) = (full(work_dir), full(dataroot));
    relative::path(&from, &to).unwrap_or_else(|| dataroot.to_string_lossy().into_owned())
}

fn read(path: &Path) -> Result<Vec<u8>, WorkError> {
    regular::read(path).map_err(|source| WorkError::Read {
        path: path.to_owned(),
        source,
    })
}

/// Decodes data stats of any number of cases.
fn parse_stats<T: DeserializeOwned>(path: PathBuf, bytes: &[u8]) -> Result<T, WorkError> {
    yaml::from_slice(bytes, MAX_STATS_BYTES).map_err(|source| WorkError::Yaml { path, source })
}

fn read_record(directory: &Path) -> Result<WorkRecord, WorkError> {
    match document::read(&directory.join(RECORD)) {
        Err(error) if error.is_absent() => Err(WorkError::NotSetUp {
            path: directory.to_owned(),
        }),
        other => Ok(other?),
    }
}
