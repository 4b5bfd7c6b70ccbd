//! The task: `task.yaml`, Auto3DSeg's description of a dataset and what to learn from it.

mod classes;
mod dicom;
mod error;
mod keys;
mod value;

pub use classes::{ClassError, Classes};
pub use error::TaskError;

use std::path::{Path, PathBuf};

use serde_yaml_ng::{Mapping, Value};
use vesal_bundle::DicomRules;
use vesal_bundle::deploy_plan::Modality;
use vesal_bundle::name;
use vesal_files::regular;

use crate::algorithms::Algorithm;
use crate::settings::{self, Overrides, suggest};
use crate::yaml;
use keys::{algos, extra, modality, num_fold, required, text};
use value::describe;

/// Keys of `task.yaml` that are no settings.
const KEYS: [&str; 11] = [
    "name",
    "task",
    "modality",
    "extra_modalities",
    "datalist",
    "dataroot",
    "class_names",
    "sigmoid",
    "num_fold",
    "algos",
    "dicom",
];
const MAX_FILE_BYTES: u64 = 1 << 20;
/// The only value of `task`.
const SEGMENTATION: &str = "segmentation";

/// The content of `task.yaml`.
///
/// **Definition**: `name`, `modality`, `datalist`, `dataroot` and `class_names` are required. `task` is optional and
/// has to be `segmentation`. `extra_modalities`, `sigmoid`, `num_fold`, `algos`, `dicom` and every name in
/// [`Overrides::NAMES`] are optional as well.
///
/// **Source**: Auto3DSeg's input file. Unlike there, an unknown key is an error, and no rule overwrites the user's
/// settings.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    pub name: String,
    /// Modality of the first image.
    pub modality: Modality,
    /// Keys and modalities of secondary images, each on a grid of its own.
    pub extra_modalities: Vec<(String, Modality)>,
    /// Datalist as written; see [`locate_datalist`](Self::locate_datalist).
    pub datalist: PathBuf,
    /// Folder that the datalist's paths are relative to, as written; see [`locate_dataroot`](Self::locate_dataroot).
    pub dataroot: PathBuf,
    /// Classes to segment, without background.
    pub classes: Classes,
    /// Number of folds; `None`: that of the datalist, or 5.
    pub num_fold: Option<usize>,
    /// Algorithms to train, `algos`; empty where the task names none.
    pub algorithms: Vec<&'static Algorithm>,
    pub dicom: DicomRules,
    pub overrides: Overrides,
}

impl Task {
    /// Reads a task file; returns its bytes as well.
    ///
    /// **Errors**: [`TaskError`].
    pub fn read(path: &Path) -> Result<(Self, Vec<u8>), TaskError> {
        let bytes = regular::read_up_to(path, MAX_FILE_BYTES)
            .map_err(|source| TaskError::Read { source })?;
        Ok((Self::from_yaml(&bytes)?, bytes))
    }

    /// **Errors**: [`TaskError`].
    pub fn from_yaml(bytes: &[u8]) -> Result<Self, TaskError> {
        let mut entries: Mapping =
            yaml::from_slice(bytes, MAX_FILE_BYTES).map_err(|source| TaskError::Yaml { source })?;
        if let Some(value) = entries.remove("task") {
            let found = text("task", value)?;
            if !found.eq_ignore_ascii_case(SEGMENTATION) {
                return Err(TaskError::Value {
                    key: "task",
                    found,
                    expected: "`segmentation`",
                });
            }
        }
        let name = text("name", required(&mut entries, "name")?)?;
        name::check(&name).map_err(|source| TaskError::Name {
            key: "name",
            source,
        })?;
        let modality = modality("modality", required(&mut entries, "modality")?)?;
        let extra_modalities = entries
            .remove("extra_modalities")
            .filter(|value| !value.is_null());
        let extra_modalities = extra_modalities.map_or(Ok(Vec::new()), extra)?;
        let datalist = text("datalist", required(&mut entries, "datalist")?)?.into();
        let dataroot = text("dataroot", required(&mut entries, "dataroot")?)?.into();
        let class_names = required(&mut entries, "class_names")?;
        let sigmoid = entries.remove("sigmoid").map(|value| match value {
            Value::Bool(sigmoid) => Ok(sigmoid),
            other => Err(TaskError::Value {
                key: "sigmoid",
                found: describe(&other),
                expected: "true or false",
            }),
        });
        let classes = Classes::parse(class_names, sigmoid.transpose()?)?;
        let num_fold = entries.remove("num_fold").map(num_fold).transpose()?;
        let algorithms = entries.remove("algos").filter(|value| !value.is_null());
        let algorithms = algorithms.map_or(Ok(Vec::new()), algos)?;
        let further = extra_modalities.iter().map(|(key, _)| key.as_str());
        let dicom = entries.remove("dicom").filter(|value| !value.is_null());
        let dicom = dicom.map(|value| dicom::parse(value, further, &classes));
        let dicom = dicom.transpose()?.unwrap_or_default();
        let mut overrides = Overrides::default();
        for (key, value) in entries {
            let key = match key {
                Value::String(key) => key,
                other => describe(&other),
            };
            if settings::find(&key).is_none() {
                let known: Vec<_> = KEYS.into_iter().chain(Overrides::NAMES).collect();
                let suggestion = suggest::closest(&key, known.iter().copied());
                return Err(TaskError::UnknownKey {
                    key,
                    suggestion,
                    known,
                });
            }
            overrides.set(&key, value)?;
        }
        Ok(Self {
            name,
            modality,
            extra_modalities,
            datalist,
            dataroot,
            classes,
            num_fold,
            algorithms,
            dicom,
            overrides,
        })
    }

    /// Keys of secondary images in the datalist.
    pub fn further_keys(&self) -> Vec<String> {
        let keys = self.extra_modalities.iter();
        keys.map(|(key, _)| key.clone()).collect()
    }

    /// The bytes of the task for another folder. They are unchanged if the paths of datalist and data are relative;
    /// otherwise `datalist` and `dataroot` replace both.
    ///
    /// **Errors**: none for bytes that were read as a task.
    pub(crate) fn relocated(
        &self,
        bytes: Vec<u8>,
        datalist: &str,
        dataroot: &str,
    ) -> Result<Vec<u8>, TaskError> {
        if !self.datalist.is_absolute() && !self.dataroot.is_absolute() {
            return Ok(bytes);
        }
        let failed = |source| TaskError::Yaml { source };
        let mut entries: Mapping = yaml::from_slice(&bytes, MAX_FILE_BYTES).map_err(failed)?;
        for (key, value) in [("datalist", datalist), ("dataroot", dataroot)] {
            entries.insert(key.into(), value.into());
        }
        let text = serde_yaml_ng::to_string(&entries).map_err(|error| failed(error.into()))?;
        Ok(text.into_bytes())
    }

    /// Finds the datalist of a task that was read from `task_path`.
    ///
    /// **Definition**: an absolute path is used as it is. A relative one starts from the folder of the task file, or
    /// from the current folder if nothing exists there.
    ///
    /// **Errors**: [`TaskError::NotFound`] with all tried places.
    pub fn locate_datalist(&self, task_path: &Path) -> Result<PathBuf, TaskError> {
        find("datalist", task_path, &self.datalist)
    }

    /// Finds the data of a task that was read from `task_path`, in the same way as
    /// [`locate_datalist`](Self::locate_datalist).
    ///
    /// **Errors**: [`TaskError::NotFound`] with all tried places.
    pub fn locate_dataroot(&self, task_path: &Path) -> Result<PathBuf, TaskError> {
        find("dataroot", task_path, &self.dataroot)
    }
}

/// Finds a file or folder of a task: see [`Task::locate_datalist`].
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

#[cfg(test)]
mod tests;
