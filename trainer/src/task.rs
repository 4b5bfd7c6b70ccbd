//! The task: `task.yaml`, Auto3DSeg's description of a dataset and what to learn from it.

mod classes;
mod dicom;
mod draft;
mod error;
mod foreign;
mod keys;
mod remark;
mod value;

pub use classes::{ClassError, Classes};
pub use draft::TaskDraft;
pub use error::TaskError;
pub use foreign::UnusedKey;
pub use keys::modality_named;
pub use remark::TaskRemark;

use serde_yaml_ng::{Mapping, Value};
use vesal_bundle::DicomRules;
use vesal_bundle::deploy_plan::Modality;
use vesal_bundle::name;

use crate::algorithms::Algorithm;
use crate::settings::{self, Overrides, suggest};
use keys::{DATALIST, DATAROOT, algos, extra, modality, num_fold, required, sigmoid, text};
use value::describe;

/// Keys of `task.yaml` that are no settings.
const KEYS: [&str; 11] = [
    "name",
    "task",
    keys::MODALITY,
    "extra_modalities",
    DATALIST,
    DATAROOT,
    keys::CLASS_NAMES,
    "sigmoid",
    "num_fold",
    "algos",
    "dicom",
];
/// The only value of `task`.
const SEGMENTATION: &str = "segmentation";

/// The content of `task.yaml`.
///
/// **Definition**: `modality` is required; a [draft](TaskDraft) fills in `name`, and what the datalist tells. Without
/// `class_names`, the classes are the labels that occur. `task` is `segmentation`. `extra_modalities`, `sigmoid`,
/// `num_fold`, `algos`, `dicom` and every name in [`Overrides::NAMES`] are optional. Empty values count as absent.
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
    /// Classes to segment, without background; `None`: a class for each label that occurs.
    pub classes: Option<Classes>,
    /// Whether the classes are regions, where the task says so.
    pub sigmoid: Option<bool>,
    /// Number of folds; `None`: that of the datalist, or 5.
    pub num_fold: Option<usize>,
    /// Algorithms to train, `algos`; empty where the task names none.
    pub algorithms: Vec<&'static Algorithm>,
    pub dicom: DicomRules,
    pub overrides: Overrides,
    /// Keys of Auto3DSeg that have no effect here.
    pub unused: Vec<UnusedKey>,
}

impl Task {
    fn from_entries(entries: Mapping) -> Result<Self, TaskError> {
        let (mut entries, unused) = foreign::take(entries)?;
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
        let modality = modality(keys::MODALITY, required(&mut entries, keys::MODALITY)?)?;
        let extra_modalities = entries.remove("extra_modalities");
        let extra_modalities = extra_modalities.map_or(Ok(Vec::new()), extra)?;
        for key in [DATALIST, DATAROOT] {
            if let Some(value) = entries.remove(key) {
                text(key, value)?;
            }
        }
        let sigmoid = entries.remove("sigmoid").map(sigmoid).transpose()?;
        let classes = entries.remove(keys::CLASS_NAMES);
        let classes = classes.map(|names| Classes::parse(names, sigmoid));
        let classes = classes.transpose()?;
        let num_fold = entries.remove("num_fold").map(num_fold).transpose()?;
        let algorithms = entries.remove("algos").map_or(Ok(Vec::new()), algos)?;
        let further = extra_modalities.iter().map(|(key, _)| key.as_str());
        let dicom = entries.remove("dicom");
        let dicom = dicom.map(|value| dicom::parse(value, further, classes.as_ref()));
        let dicom = dicom.transpose()?.unwrap_or_default();
        let mut overrides = Overrides::default();
        for (key, value) in entries {
            let key = match key {
                Value::String(key) => key,
                other => describe(&other),
            };
            if settings::find(&key).is_none() {
                let known = KEYS.into_iter().chain(settings::registry::spellings());
                let suggestion = suggest::closest(&key, known.chain(foreign::names()));
                return Err(TaskError::UnknownKey { key, suggestion });
            }
            overrides.set(&key, value)?;
        }
        Ok(Self {
            name,
            modality,
            extra_modalities,
            classes,
            sigmoid,
            num_fold,
            algorithms,
            dicom,
            overrides,
            unused,
        })
    }

    /// The classes: those of the task, or else one for each of the labels that occur; `None` where neither is known.
    ///
    /// **Errors**: [`TaskError`] for labels that cannot be classes, and for DICOM codes of other labels.
    pub fn classes_with(&self, found: &[u16]) -> Result<Option<Classes>, TaskError> {
        if self.classes.is_some() || found.is_empty() {
            return Ok(self.classes.clone());
        }
        let classes = Classes::found(found, self.sigmoid)?;
        dicom::check_labels(&self.dicom, &classes)?;
        Ok(Some(classes))
    }

    /// Keys of secondary images in the datalist.
    pub fn further_keys(&self) -> Vec<String> {
        let keys = self.extra_modalities.iter();
        keys.map(|(key, _)| key.clone()).collect()
    }
}

#[cfg(test)]
mod tests;
