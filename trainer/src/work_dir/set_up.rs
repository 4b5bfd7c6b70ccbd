//! Setting up and opening a work directory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use vesal_cases::datalist::Datalist;
use vesal_files::atomic;

use super::WorkDir;
use super::error::WorkError;
use super::files::{DATALIST, TASK, read, read_record};
use super::record::WorkRecord;
use crate::algorithms::{self, Algorithm};
use crate::folds;
use crate::relative;
use crate::settings::Overrides;
use crate::task::Task;

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

impl WorkDir {
    /// Sets up a work directory with `request.input`, or opens an existing one, and records the settings.
    ///
    /// **Definition**: a new task replaces the old one; files of later stages are kept until these stages find them out
    /// of date.
    ///
    /// **Errors**: [`WorkError`], also for changes with which nothing can be planned.
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
        // Changes that cannot be planned are not kept. Data stats of an earlier task tell nothing about a new one.
        let changes = !request.settings.is_empty() || request.algorithms.is_some();
        if request.input.is_none() && changes {
            work.check_planning()?;
        }
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
