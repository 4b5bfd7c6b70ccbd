//! The task: `task.yaml`, Auto3DSeg's description of a dataset and what to learn from it.

mod classes;
mod dicom;
mod error;
mod value;

pub use classes::{ClassError, Classes};
pub use error::TaskError;

use std::path::{Path, PathBuf};

use serde_yaml_ng::{Mapping, Value};
use vesal_bundle::DicomRules;
use vesal_bundle::deploy_plan::Modality;
use vesal_bundle::name;
use vesal_files::regular;

use crate::algorithms::{self, Algorithm};
use crate::settings::{self, Overrides, suggest};
use crate::yaml;
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

fn required(entries: &mut Mapping, key: &'static str) -> Result<Value, TaskError> {
    match entries.remove(key) {
        None | Some(Value::Null) => Err(TaskError::Missing { key }),
        Some(value) => Ok(value),
    }
}

fn text(key: &'static str, value: Value) -> Result<String, TaskError> {
    match value {
        Value::String(text) if !text.is_empty() => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        other => Err(TaskError::Value {
            key,
            found: describe(&other),
            expected: "a text",
        }),
    }
}

/// Parses one name or a list of names.
fn algos(value: Value) -> Result<Vec<&'static Algorithm>, TaskError> {
    let names = match value {
        Value::Sequence(names) => names,
        name => vec![name],
    };
    let names = names.into_iter().map(|name| text("algos", name));
    let names: Vec<_> = names.collect::<Result<_, _>>()?;
    Ok(algorithms::parse(names.iter().map(String::as_str))?)
}

fn modality(key: &'static str, value: Value) -> Result<Modality, TaskError> {
    let found = text(key, value)?;
    match found.to_ascii_lowercase().as_str() {
        "ct" => Ok(Modality::Ct),
        "mri" | "mr" => Ok(Modality::Mri),
        "pet" | "pt" => Ok(Modality::Pet),
        _ => Err(TaskError::Value {
            key,
            found: format!("`{found}`"),
            expected: "`ct`, `mri` or `pet`",
        }),
    }
}

/// Keys of a datalist's items that are not secondary images.
const ITEM_KEYS: [&str; 4] = ["image", "label", "fold", "patient"];

fn extra(value: Value) -> Result<Vec<(String, Modality)>, TaskError> {
    const KEY: &str = "extra_modalities";
    let entries = match value {
        Value::Mapping(entries) => entries,
        other => {
            return Err(TaskError::Value {
                key: KEY,
                found: describe(&other),
                expected: "a mapping such as `{image2: pet}`",
            });
        }
    };
    let entry = |(key, value): (Value, Value)| {
        let key = text(KEY, key)?;
        name::check(&key).map_err(|source| TaskError::Name { key: KEY, source })?;
        if ITEM_KEYS.contains(&key.as_str()) {
            return Err(TaskError::ExtraKey { key });
        }
        Ok((key, modality(KEY, value)?))
    };
    entries.into_iter().map(entry).collect()
}

fn num_fold(value: Value) -> Result<usize, TaskError> {
    let whole = value.as_u64().and_then(|found| usize::try_from(found).ok());
    whole
        .filter(|&found| found > 0)
        .ok_or_else(|| TaskError::Value {
            key: "num_fold",
            found: describe(&value),
            expected: "a whole number from 1",
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::CropMode;

    const GOOD: &str = "
name: Task04_Hippocampus
task: segmentation
modality: MRI
datalist: datalist.json
dataroot: data
class_names: [anterior, posterior]
";

    fn parse(extra: &str) -> Result<Task, TaskError> {
        Task::from_yaml(format!("{GOOD}{extra}").as_bytes())
    }

    #[test]
    fn a_task_reads_with_its_overrides() {
        let task = parse(
            "num_epochs: 5\nroi_size: [32, 48, 32]\nnetwork#init_filters: 8\ncrop_mode: rand\n",
        );
        let task = task.unwrap();
        assert_eq!(
            (task.name.as_str(), task.modality),
            ("Task04_Hippocampus", Modality::Mri)
        );
        assert_eq!(task.classes.names(), ["anterior", "posterior"]);
        assert_eq!(task.overrides.num_epochs, Some(5));
        assert_eq!(task.overrides.roi_size, Some([32, 48, 32]));
        assert_eq!(task.overrides.init_filters, Some(8));
        assert_eq!(task.overrides.crop_mode, Some(CropMode::Rand));
    }

    #[test]
    fn an_unknown_key_is_an_error_with_a_suggestion() {
        let error = parse("num_epoch: 5\n").unwrap_err().to_string();
        assert!(
            error.contains("unknown key `num_epoch`, did you mean `num_epochs`?"),
            "{error}"
        );
        assert!(error.contains("network#blocks_down"), "{error}");
        let error = parse("multigpu: true\n").unwrap_err().to_string();
        assert!(!error.contains("did you mean"), "{error}");
    }

    #[test]
    fn other_modalities_and_tasks_are_refused() {
        let xray = GOOD.replace("MRI", "xray");
        let error = Task::from_yaml(xray.as_bytes()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`modality` of the task is `xray`, expected `ct`, `mri` or `pet`"
        );
        let detection = GOOD.replace("task: segmentation", "task: detection");
        assert!(matches!(
            Task::from_yaml(detection.as_bytes()),
            Err(TaskError::Value { key: "task", .. })
        ));
        for key in ["name", "modality", "datalist", "dataroot", "class_names"] {
            let without: String = GOOD
                .lines()
                .filter(|line| !line.starts_with(key))
                .map(|line| format!("{line}\n"))
                .collect();
            assert!(
                matches!(Task::from_yaml(without.as_bytes()), Err(TaskError::Missing { key: k }) if k == key),
                "{key}"
            );
        }
        for bad in ["", "[1, 2]", "a: b: c", "{"] {
            assert!(Task::from_yaml(bad.as_bytes()).is_err());
        }
    }

    #[test]
    fn tasks_are_bounded_in_size_and_nesting() {
        let refused = |text: String| {
            let error = Task::from_yaml(text.as_bytes()).unwrap_err();
            let source = std::error::Error::source(&error).unwrap().to_string();
            (source, error.hint().unwrap())
        };
        let (rule, hint) = refused(format!("{GOOD}x: {}\n", "[".repeat(200_000)));
        assert!(rule.starts_with("line 8 has more than 64 lists"), "{rule}");
        assert!(hint.starts_with("close every `[`"), "{hint}");
        let (rule, _) = refused(format!("{GOOD}# {}\n", "x".repeat(1 << 20)));
        assert_eq!(rule, "it is larger than 1048576 bytes");
    }

    #[test]
    fn extra_modalities_keep_their_order() {
        let task = parse("extra_modalities: {pet: pet, image2: mri}\n").unwrap();
        assert_eq!(task.further_keys(), ["pet", "image2"]);
        assert_eq!(task.extra_modalities[0].1, Modality::Pet);
        for (bad, expected) in [
            ("{label: mri}", "has the key `label`"),
            ("{image2: xray}", "is `xray`, expected `ct`, `mri` or `pet`"),
            ("[pet]", "is a list of 1, expected a mapping"),
        ] {
            let error = parse(&format!("extra_modalities: {bad}\n")).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        }
    }

    #[test]
    fn paths_start_from_the_folder_of_the_task() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("task.yaml");
        let task = parse("").unwrap();
        let error = task.locate_datalist(&path).unwrap_err();
        assert!(matches!(
            error,
            TaskError::NotFound {
                key: "datalist",
                ..
            }
        ));
        std::fs::write(folder.path().join("datalist.json"), "{}").unwrap();
        std::fs::create_dir(folder.path().join("data")).unwrap();
        assert_eq!(
            task.locate_dataroot(&path).unwrap(),
            folder.path().join("data")
        );
        assert_eq!(
            task.locate_datalist(&path).unwrap(),
            folder.path().join("datalist.json")
        );
    }
}
