//! A task file before what it leaves out is filled in.

use std::path::{Path, PathBuf};

use serde_yaml_ng::{Mapping, Value};
use vesal_bundle::deploy_plan::Modality;
use vesal_bundle::name;
use vesal_cases::datalist::DatasetDescription;
use vesal_files::regular;

use super::Task;
use super::classes::Classes;
use super::error::TaskError;
use super::keys::{CLASS_NAMES, DATALIST, DATAROOT, MODALITY, modality_named, text};
use super::remark::TaskRemark;
use crate::yaml;

const MAX_FILE_BYTES: u64 = 1 << 20;
/// Stems of task files that say nothing about the task.
const GENERAL_STEMS: [&str; 4] = ["input", "task", "dataset", "datalist"];
/// Name of a task whose file and folder have none.
const UNNAMED: &str = "segmentation";

/// Entries of a task, and what was filled in.
///
/// **Definition**: `name` is that of the task file or the datalist, without ending; where it is `input`, `task`, `dataset`
/// or `datalist`, that of its folder. `modality` and `class_names` are those of the datalist, where it has them.
#[derive(Debug, Clone)]
pub struct TaskDraft {
    /// The task file; that of the datalist where there is no task file.
    path: PathBuf,
    bytes: Vec<u8>,
    entries: Mapping,
    /// Whether the entries differ from the bytes.
    is_changed: bool,
    remarks: Vec<TaskRemark>,
}

impl TaskDraft {
    /// Reads a task file.
    ///
    /// **Errors**: [`TaskError`].
    pub fn read(path: &Path) -> Result<Self, TaskError> {
        let bytes = regular::read_up_to(path, MAX_FILE_BYTES)
            .map_err(|source| TaskError::Read { source })?;
        let mut draft = Self::from_yaml(bytes)?;
        draft.path = path.to_owned();
        if !draft.has("name") {
            let name = name_after(path);
            draft.insert("name", name.as_str());
            draft.remarks.push(TaskRemark::Named { name });
        }
        Ok(draft)
    }

    pub(super) fn from_yaml(bytes: Vec<u8>) -> Result<Self, TaskError> {
        let entries: Mapping = yaml::from_slice(&bytes, MAX_FILE_BYTES)
            .map_err(|source| TaskError::Yaml { source })?;
        Ok(Self {
            path: PathBuf::new(),
            bytes,
            entries: without_empty(entries),
            is_changed: false,
            remarks: Vec::new(),
        })
    }

    /// The task of a datalist without a task file.
    pub fn of_datalist(datalist: &Path) -> Self {
        let mut draft = Self {
            path: datalist.to_owned(),
            bytes: Vec::new(),
            entries: Mapping::new(),
            is_changed: true,
            remarks: Vec::new(),
        };
        draft.insert("name", name_after(datalist).as_str());
        draft
    }

    fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    fn insert(&mut self, key: &str, value: impl Into<Value>) {
        self.entries.insert(key.into(), value.into());
        self.is_changed = true;
    }

    pub fn set_modality(&mut self, modality: Modality) {
        if let Ok(value) = serde_yaml_ng::to_value(modality) {
            self.insert(MODALITY, value);
        }
    }

    /// Finds the datalist.
    ///
    /// **Definition**: an absolute path is used as it is. A relative one starts from the folder of the task file, or
    /// from the current folder if nothing exists there. If nothing exists in either, a file of that name beside the task
    /// is taken.
    ///
    /// **Errors**: [`TaskError::NotFound`] with all tried places.
    pub fn datalist(&mut self) -> Result<PathBuf, TaskError> {
        let Some(written) = self.path_under(DATALIST)? else {
            return Err(TaskError::Missing { key: DATALIST });
        };
        match find(DATALIST, &self.path, &written) {
            Err(error) => {
                let beside = written
                    .file_name()
                    .map(|name| self.path.with_file_name(name));
                let found = beside.filter(|path| path.is_file()).ok_or(error)?;
                self.remarks.push(TaskRemark::DatalistBeside {
                    written: written.display().to_string(),
                    found: found.clone(),
                });
                Ok(found)
            }
            found => found,
        }
    }

    /// Finds the folder of the data: that of the task, found as the [datalist](Self::datalist) is, or that of the datalist
    /// where the task names none.
    ///
    /// **Errors**: [`TaskError::NotFound`] with all tried places.
    pub fn dataroot(&mut self, datalist: &Path) -> Result<PathBuf, TaskError> {
        if let Some(written) = self.path_under(DATAROOT)? {
            return find(DATAROOT, &self.path, &written);
        }
        let folder = match datalist.parent() {
            Some(folder) if folder != Path::new("") => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        let remark = TaskRemark::DatarootOfDatalist {
            folder: folder.clone(),
        };
        self.remarks.push(remark);
        Ok(folder)
    }

    fn path_under(&self, key: &'static str) -> Result<Option<PathBuf>, TaskError> {
        let value = self.entries.get(key).cloned();
        Ok(value
            .map(|value| text(key, value))
            .transpose()?
            .map(PathBuf::from))
    }

    /// Fills in modality and classes from the description of the dataset.
    pub fn describe(&mut self, description: &DatasetDescription) {
        let DatasetDescription {
            labels,
            has_other_labels,
            modalities,
            ignored,
        } = description;
        if !ignored.is_empty() {
            let keys = ignored.iter().cloned().collect();
            self.remarks.push(TaskRemark::UnusedDatalistKeys(keys));
        }
        if !self.has(MODALITY) {
            let mut found = modalities.iter().map(|name| modality_named(name));
            if let Some(Some(first)) = found.next()
                && found.all(|other| other == Some(first))
            {
                self.set_modality(first);
                self.remarks.push(TaskRemark::Modality(first));
            }
        }
        if self.has(CLASS_NAMES) {
            return;
        }
        let classes = match labels.is_empty() {
            true => None,
            false => Some(Classes::by_value(labels.clone(), None)),
        };
        match classes {
            Some(Ok(classes)) => {
                let entries = labels.iter();
                let entries = entries.map(|(&label, name)| (label.into(), name.as_str().into()));
                self.insert(CLASS_NAMES, entries.collect::<Mapping>());
                let names = classes.names().to_vec();
                self.remarks.push(TaskRemark::Classes { names });
            }
            Some(Err(error)) => self.remarks.push(TaskRemark::UnusedLabels {
                reason: Some(error),
            }),
            None if *has_other_labels => {
                self.remarks.push(TaskRemark::UnusedLabels { reason: None });
            }
            None => {}
        }
    }

    /// Keys of secondary images in the datalist; none where the task is invalid.
    pub fn further_keys(&self) -> Vec<String> {
        let further = self.entries.get("extra_modalities");
        let further = further.and_then(Value::as_mapping).into_iter().flatten();
        let keys = further.filter_map(|(key, _)| text("extra_modalities", key.clone()).ok());
        keys.collect()
    }

    /// **Errors**: [`TaskError`].
    pub fn task(&self) -> Result<Task, TaskError> {
        Task::from_entries(self.entries.clone())
    }

    /// The bytes of the complete task for another folder. They are those of the file if nothing was filled in and its paths
    /// are relative; otherwise `datalist` and `dataroot` replace both.
    ///
    /// **Errors**: none for entries that are a task.
    pub fn to_yaml(mut self, datalist: &str, dataroot: &str) -> Result<Vec<u8>, TaskError> {
        let is_relative = |key| {
            let path = self.path_under(key).ok().flatten();
            path.is_some_and(|path| !path.is_absolute())
        };
        if !self.is_changed && is_relative(DATALIST) && is_relative(DATAROOT) {
            return Ok(self.bytes);
        }
        self.insert(DATALIST, datalist);
        self.insert(DATAROOT, dataroot);
        let text = serde_yaml_ng::to_string(&self.entries).map_err(|error| TaskError::Yaml {
            source: error.into(),
        })?;
        Ok(text.into_bytes())
    }

    /// What was filled in, and what has no effect.
    pub fn remarks(&self, task: &Task) -> Vec<TaskRemark> {
        let mut remarks = self.remarks.clone();
        if !task.unused.is_empty() {
            remarks.push(TaskRemark::UnusedKeys(task.unused.clone()));
        }
        remarks
    }
}

impl Task {
    /// Reads a task that needs nothing filled in but its name, as that of a work directory.
    ///
    /// **Errors**: [`TaskError`].
    pub fn read(path: &Path) -> Result<Self, TaskError> {
        TaskDraft::read(path)?.task()
    }

    /// **Errors**: [`TaskError`].
    pub fn from_yaml(bytes: &[u8]) -> Result<Self, TaskError> {
        TaskDraft::from_yaml(bytes.to_vec())?.task()
    }
}

/// Finds a file or folder of a task: see [`TaskDraft::datalist`].
fn find(key: &'static str, task_path: &Path, written: &Path) -> Result<PathBuf, TaskError> {
    let folder = task_path.parent().unwrap_or(Path::new(""));
    let mut tried = vec![folder.join(written)];
    if tried[0] != written {
        tried.push(written.to_owned());
    }
    match tried.iter().find(|path| path.exists()) {
        Some(path) => Ok(path.clone()),
        None => Err(TaskError::NotFound { key, tried }),
    }
}

/// The name of a task by its file.
fn name_after(path: &Path) -> String {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let stem = path
        .file_stem()
        .map(|stem| stem.to_string_lossy().into_owned());
    let folder = path.parent().and_then(Path::file_name);
    let folder = folder.map(|folder| folder.to_string_lossy().into_owned());
    let is_general = |stem: &String| GENERAL_STEMS.contains(&stem.to_ascii_lowercase().as_str());
    let names = [stem.filter(|stem| !is_general(stem)), folder];
    let usable = names
        .into_iter()
        .flatten()
        .find(|name| name::check(name).is_ok());
    usable.unwrap_or_else(|| UNNAMED.to_owned())
}

/// Entries with a value: empty texts count as absent.
fn without_empty(entries: Mapping) -> Mapping {
    let is_empty = |value: &Value| value.is_null() || value.as_str() == Some("");
    let entries = entries.into_iter();
    entries.filter(|(_, value)| !is_empty(value)).collect()
}
