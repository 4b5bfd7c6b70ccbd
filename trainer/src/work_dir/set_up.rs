//! Setting up and opening a work directory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use vesal_bundle::deploy_plan::Modality;
use vesal_cases::datalist::{Datalist, DatasetDescription};
use vesal_files::atomic;

use super::WorkDir;
use super::error::WorkError;
use super::files::{DATALIST, TASK, read, read_record};
use super::record::WorkRecord;
use crate::algorithms::{self, Algorithm};
use crate::folds;
use crate::relative;
use crate::settings::Overrides;
use crate::task::{Classes, Task, TaskDraft, TaskError};

/// Changes to a work directory by a command line; `None` and empty fields leave it unchanged.
#[derive(Debug, Clone, Copy, Default)]
pub struct Request<'a> {
    /// Task to set up the directory with.
    pub input: Option<&'a Path>,
    /// Datalist instead of that of the task; alone it sets up a directory as well, or replaces the cases of an existing one.
    pub datalist: Option<&'a Path>,
    /// Modality instead of that of the task; used when the directory is set up.
    pub modality: Option<Modality>,
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
    /// Sets up a work directory with `request.input` or `request.datalist`, or opens an existing one, and records the
    /// settings.
    ///
    /// **Definition**: a new task replaces the old one; files of later stages are kept until these stages find them out
    /// of date.
    ///
    /// **Errors**: [`WorkError`], also for changes with which nothing can be planned.
    pub fn prepare(path: &Path, request: &Request<'_>) -> Result<Self, WorkError> {
        let earlier: Option<WorkRecord> = match read_record(path) {
            Ok(record) => Some(record),
            Err(WorkError::NotSetUp { .. }) if request.sets_up() => None,
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
        let mut work = match earlier {
            earlier if request.sets_up() => Self::set_up(path, request, earlier, settings)?,
            Some(earlier) => {
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
            None => {
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
        if !request.sets_up() && changes {
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
        request: &Request<'_>,
        earlier: Option<WorkRecord>,
        settings: Overrides,
    ) -> Result<Self, WorkError> {
        let own = path.join(TASK);
        let (mut draft, task_path) = match (request.input, request.datalist) {
            (None, Some(datalist)) if !own.exists() => (TaskDraft::of_datalist(datalist), datalist),
            (input, _) => {
                let input = input.unwrap_or(&own);
                let draft = TaskDraft::read(input).map_err(|source| WorkError::Task {
                    path: input.to_owned(),
                    source,
                })?;
                (draft, input)
            }
        };
        let unusable = |source| WorkError::Task {
            path: task_path.to_owned(),
            source,
        };
        if let Some(modality) = request.modality {
            draft.set_modality(modality);
        }
        let datalist_path = match request.datalist {
            Some(datalist) => datalist.to_owned(),
            None => draft.datalist().map_err(unusable)?,
        };
        let dataroot = present(match (request.dataroot, request.input, &earlier) {
            (Some(dataroot), ..) => dataroot.to_owned(),
            (None, None, Some(earlier)) => path.join(&earlier.dataroot),
            _ => draft.dataroot(&datalist_path).map_err(unusable)?,
        })?;
        let bytes = read(&datalist_path)?;
        let unreadable = |source| WorkError::Datalist {
            path: datalist_path.clone(),
            source,
        };
        let further = draft.further_keys();
        let description = DatasetDescription::from_json(&bytes, &further).map_err(unreadable)?;
        draft.describe(&description);
        let task = draft.task().map_err(unusable)?;
        let mut datalist = Datalist::from_json(&bytes, &dataroot, &further).map_err(unreadable)?;
        let seed = settings.over(&task.overrides).seed.unwrap_or(0);
        let folds = folds::assign(&mut datalist, request.folds.or(task.num_fold), seed)?;
        std::fs::create_dir_all(path).map_err(|source| WorkError::MakeDirectory {
            path: path.to_owned(),
            source,
        })?;
        let dataroot_text = portable(path, &dataroot);
        let remarks = draft.remarks(&task);
        let task_bytes = draft.to_yaml(DATALIST, &dataroot_text).map_err(unusable)?;
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
        let classes = classes(&task, &record).map_err(unusable)?;
        Ok(Self {
            path: path.to_owned(),
            dataroot,
            task,
            classes,
            datalist,
            record,
            chosen,
            remarks,
        })
    }

    fn open_with(
        path: &Path,
        record: WorkRecord,
        dataroot: Option<&Path>,
    ) -> Result<Self, WorkError> {
        let dataroot = dataroot.map_or_else(|| path.join(&record.dataroot), Path::to_owned);
        let file = path.join(TASK);
        let unusable = |source| WorkError::Task {
            path: file.clone(),
            source,
        };
        let task = Task::read(&file).map_err(unusable)?;
        let classes = classes(&task, &record).map_err(unusable)?;
        let list = path.join(DATALIST);
        let datalist = Datalist::from_json(&read(&list)?, &dataroot, &task.further_keys())
            .map_err(|source| WorkError::Datalist { path: list, source })?;
        let names = record.algorithms.iter().flatten().map(String::as_str);
        let chosen = choose(algorithms::parse(names)?, &task);
        Ok(Self {
            path: path.to_owned(),
            dataroot,
            task,
            classes,
            datalist,
            record,
            chosen,
            remarks: Vec::new(),
        })
    }
}

impl Request<'_> {
    fn sets_up(&self) -> bool {
        self.input.is_some() || self.datalist.is_some()
    }
}

/// The classes of the task, or those of the labels that the analysis found.
fn classes(task: &Task, record: &WorkRecord) -> Result<Option<Classes>, TaskError> {
    let found = record.analysis.iter().flat_map(|done| &done.found_labels);
    task.classes_with(&found.copied().collect::<Vec<_>>())
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
