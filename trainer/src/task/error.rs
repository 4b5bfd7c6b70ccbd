//! Errors of a task.

use std::io;
use std::path::PathBuf;

use thiserror::Error;
use vesal_bundle::dicom_rules::RulesError;
use vesal_bundle::name::NameError;

use super::ClassError;
use crate::algorithms::UnknownAlgorithm;
use crate::settings::{OverrideError, suggest};
use crate::yaml::YamlReadError;

#[derive(Debug, Error)]
pub enum TaskError {
    #[error("the task cannot be read")]
    Read { source: io::Error },
    /// The file is not YAML, or not a mapping of keys to values.
    #[error("the task is no YAML mapping of keys to values")]
    Yaml { source: YamlReadError },
    /// A required key is missing.
    #[error("the task has no `{key}`")]
    Missing { key: &'static str },
    /// An unknown key.
    #[error("the task has the unknown key `{key}`{}", suggest::phrase(suggestion))]
    UnknownKey {
        key: String,
        /// The most similar known key.
        suggestion: Option<&'static str>,
    },
    /// A key of Auto3DSeg whose effect does not exist here.
    #[error("`{key}` of the task is {found}, which does not exist here")]
    Refused {
        key: &'static str,
        found: String,
        remedy: &'static str,
    },
    /// Channels of the first image have different modalities.
    #[error("`{key}` of the task names several modalities: {}", found.join(", "))]
    SeveralModalities {
        key: &'static str,
        found: Vec<String>,
    },
    /// A value has the wrong type.
    #[error("`{key}` of the task is {found}, expected {expected}")]
    Value {
        key: &'static str,
        found: String,
        expected: &'static str,
    },
    /// A name breaks the rules for names.
    #[error("`{key}` of the task has an unusable name")]
    Name {
        key: &'static str,
        source: NameError,
    },
    #[error(transparent)]
    Classes(#[from] ClassError),
    /// The key of an extra modality has another meaning, or occurs twice.
    #[error(
        "`extra_modalities` of the task has the key `{key}`, expected names of further images such as `image2`"
    )]
    ExtraKey { key: String },
    /// `dicom` does not follow its format.
    #[error("`dicom` of the task does not follow its format")]
    DicomForm { source: serde_yaml_ng::Error },
    /// `dicom` contradicts other parts of the task.
    #[error("`dicom` of the task is unusable")]
    Dicom { source: RulesError },
    /// `algos` names an algorithm that does not exist.
    #[error("cannot use `algos` of the task")]
    Algorithm(#[from] UnknownAlgorithm),
    #[error(transparent)]
    Override(#[from] OverrideError),
    /// A file or folder is in none of the possible places.
    #[error("`{key}` of the task is not found at {}", quoted(tried))]
    NotFound {
        /// `datalist` or `dataroot`.
        key: &'static str,
        tried: Vec<PathBuf>,
    },
}

impl TaskError {
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Yaml {
                source: YamlReadError::Bounds(error),
            } => Some(error.hint()),
            Self::Missing { key: "modality" } => {
                Some("add `modality: ct`, `mri` or `pet`, or give `--modality`")
            }
            Self::Missing { key: "datalist" } => {
                Some("add `datalist: FILE`, or give `--datalist FILE`")
            }
            Self::Missing { .. } | Self::Yaml { .. } => Some(
                "a task is a list of keys such as `modality: mri`, `datalist: datalist.json` and `dataroot: data`",
            ),
            Self::UnknownKey {
                suggestion: None, ..
            } => Some(
                "take it out if nothing depends on it; `vesal-train settings` lists all settings",
            ),
            Self::Refused { remedy, .. } => Some(remedy),
            Self::SeveralModalities { .. } => Some(
                "`modality` is that of the first image; give the others a key each, such as `extra_modalities: {pet: pet}`",
            ),
            Self::Classes(error) => Some(error.hint()),
            Self::DicomForm { .. } => Some(
                "`channels: {image: {series_descriptions: ['*t1*']}}` and `labels: {liver: {category: ..., type: {value: \
                 '10200004', scheme: SCT, meaning: Liver}}}`; codes of digits need quotes",
            ),
            Self::Dicom { source } => source.hint(),
            Self::NotFound {
                key: "dataroot", ..
            } => Some("give the folder of the images with `--dataroot DIR`, or VESAL_DATAROOT"),
            Self::NotFound { .. } => Some("give the datalist with `--datalist FILE`"),
            _ => None,
        }
    }
}

fn quoted(paths: &[PathBuf]) -> String {
    let quoted: Vec<_> = paths
        .iter()
        .map(|path| format!("`{}`", path.display()))
        .collect();
    quoted.join(" or ")
}
