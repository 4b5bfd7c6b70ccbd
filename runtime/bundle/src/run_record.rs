//! The run record, `run.json`: the result of one training of (algorithm, plan, fold) for the exporter.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::name::{self, NameError};
use vesal_files::digest;
use vesal_files::document::{self, DocumentError, VersionedDocument};
use vesal_files::regular;
use vesal_network::NetworkConfig;

/// File name inside a run directory.
pub const FILE_NAME: &str = "run.json";

/// A file named relative to the record that names it, with its digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileRef {
    /// Relative path with forward slashes; may contain `..` in a work directory, never in a bundle.
    pub path: String,
    /// SHA-256 of its bytes, lowercase hexadecimal.
    pub sha256: String,
}

/// Validation score of a run's best weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Score {
    /// Epoch (1-based) whose weights were kept.
    pub epoch: usize,
    /// Mean over labels of the mean Dice over validation cases in which the label is present.
    pub mean_dice: f64,
    /// The same per label name; absent from every validation case: null.
    pub dice_by_label: BTreeMap<String, Option<f64>>,
    /// Number of validation cases.
    pub cases: usize,
}

/// The result of a finished training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunRecord {
    /// Algorithm name: `segresnet`.
    pub algorithm: String,
    /// Which fold was held out.
    pub fold: usize,
    /// Network that the weights belong to.
    pub network: NetworkConfig,
    /// Best weights (safetensors).
    pub weights: FileRef,
    /// Deploy plan that the run was trained under.
    pub deploy_plan: FileRef,
    /// Data stats that the plan came from, at the end of the training: they may change afterwards, because neither the plan
    /// nor the weights depend on the file any more.
    pub data_stats: FileRef,
    pub score: Score,
    /// The same for every case that was held out; see [`CaseScores`](crate::case_scores::CaseScores).
    #[serde(default)]
    pub scores: Option<FileRef>,
    /// Versions of the programs and libraries that trained it, by name.
    pub versions: BTreeMap<String, String>,
}

/// Why a run record cannot be read, written or trusted.
#[derive(Debug, Error)]
pub enum RunRecordError {
    /// Not readable as a run record of this version.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The algorithm's name breaks the rules for names.
    #[error("the run record has an unusable algorithm name")]
    Algorithm { source: NameError },
    /// A path is empty, absolute or has backslashes.
    #[error(
        "the run record names the file {found:?}, expected a relative path with forward slashes"
    )]
    Path { found: String },
    /// A text that is not a digest.
    #[error("the digest of `{file}` is {found:?}, expected 64 lowercase hexadecimal digits")]
    DigestForm {
        /// File that it belongs to.
        file: String,
        found: String,
    },
    /// The file does not have the digest of the record.
    #[error("`{file}` has SHA-256 {found}, expected {expected}")]
    Digest {
        file: String,
        found: String,
        expected: String,
    },
    /// The score is out of range.
    #[error("the run record has the score {what} = {found}, expected {expected}")]
    Score {
        what: String,
        found: f64,
        expected: &'static str,
    },
}

impl RunRecordError {
    /// A remedy for the user, if there is one.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Document(error) => error.hint(),
            Self::Digest { .. } => {
                Some("the file changed after the training ended: train this fold again")
            }
            _ => None,
        }
    }
}

impl Score {
    /// Checks that the figures can be a score.
    ///
    /// **Errors**: [`RunRecordError::Score`].
    pub fn validate(&self) -> Result<(), RunRecordError> {
        if self.epoch == 0 {
            return Err(RunRecordError::Score {
                what: "epoch".into(),
                found: 0.,
                expected: "1 or more",
            });
        }
        check_dice(self.mean_dice, &self.dice_by_label)
    }
}

impl FileRef {
    /// Refers to a file below or beside `directory` by its digest.
    ///
    /// **Errors**: the path is not relative with forward slashes, or the file cannot be read.
    pub fn to_file(directory: &Path, path: &str) -> Result<Self, RunRecordError> {
        check_relative(path)?;
        let full = directory.join(path);
        let (_, sha256) = digest::sha256_file(&full)
            .map_err(|source| DocumentError::Read { path: full, source })?;
        Ok(Self {
            path: path.into(),
            sha256,
        })
    }

    /// Reads the file and checks its digest; `directory` is the one of the record that names it.
    ///
    /// **Errors**: the file cannot be read, or is another one.
    pub fn read(&self, directory: &Path) -> Result<Vec<u8>, RunRecordError> {
        self.validate()?;
        let path = directory.join(&self.path);
        let bytes = regular::read(&path).map_err(|source| DocumentError::Read { path, source })?;
        let found = digest::sha256(&bytes);
        if found != self.sha256 {
            return Err(RunRecordError::Digest {
                file: self.path.clone(),
                found,
                expected: self.sha256.clone(),
            });
        }
        Ok(bytes)
    }

    fn validate(&self) -> Result<(), RunRecordError> {
        check_relative(&self.path)?;
        if !digest::is_digest(&self.sha256) {
            return Err(RunRecordError::DigestForm {
                file: self.path.clone(),
                found: self.sha256.clone(),
            });
        }
        Ok(())
    }
}

impl VersionedDocument for RunRecord {
    const FORMAT: &str = "vesal-run";
    const VERSION: u32 = 1;
    const MAX_BYTES: u64 = 1 << 20;
}

impl RunRecord {
    /// Checks every rule of the format that the types do not express.
    ///
    /// **Errors**: the first rule that is broken.
    pub fn validate(&self) -> Result<(), RunRecordError> {
        name::check(&self.algorithm).map_err(|source| RunRecordError::Algorithm { source })?;
        let files = [&self.weights, &self.deploy_plan, &self.data_stats];
        for file in files.into_iter().chain(&self.scores) {
            file.validate()?;
        }
        self.score.validate()
    }

    /// Reads and validates a run record.
    ///
    /// **Errors**: [`RunRecordError`].
    pub fn read(path: &Path) -> Result<Self, RunRecordError> {
        let record: Self = document::read(path)?;
        record.validate()?;
        Ok(record)
    }

    /// Validates the record and writes it atomically.
    ///
    /// **Errors**: [`RunRecordError`].
    pub fn write(&self, path: &Path) -> Result<(), RunRecordError> {
        self.validate()?;
        Ok(document::write(path, self)?)
    }
}

/// Checks that means of Dice are fractions.
pub(crate) fn check_dice(
    mean: f64,
    by_label: &BTreeMap<String, Option<f64>>,
) -> Result<(), RunRecordError> {
    let labels = by_label
        .iter()
        .filter_map(|(label, dice)| Some((label.as_str(), (*dice)?)));
    let broken = std::iter::once(("mean_dice", mean))
        .chain(labels)
        .find(|(_, dice)| !(0. ..=1.).contains(dice));
    match broken {
        Some((what, found)) => Err(RunRecordError::Score {
            what: what.into(),
            found,
            expected: "0 to 1",
        }),
        None => Ok(()),
    }
}

fn check_relative(path: &str) -> Result<(), RunRecordError> {
    let drive = path.as_bytes().get(1) == Some(&b':');
    if path.is_empty() || path.starts_with('/') || drive || path.contains(['\\', '\0']) {
        return Err(RunRecordError::Path { found: path.into() });
    }
    Ok(())
}
