//! The file that lists the members of an ensemble.

use std::io;
use std::path::Path;

use serde::Deserialize;
use thiserror::Error;
use vesal_files::regular;
use vesal_files::yaml::{self, YamlError};
use vesal_volume::postprocess::Combine;

use super::best::best_of_fold;
use crate::runs::Run;

/// Largest file in bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Why an ensemble file cannot be used.
#[derive(Debug, Error)]
pub enum EnsembleFileError {
    /// The file cannot be read.
    #[error("it cannot be read")]
    Read(#[from] io::Error),
    /// It exceeds the limits for YAML.
    #[error(transparent)]
    Bounds(#[from] YamlError),
    /// Not YAML, or unknown keys.
    #[error("it does not follow its format")]
    Yaml(#[from] serde_yaml_ng::Error),
    /// The list of members is empty.
    #[error("it has no members, expected at least 1")]
    Empty,
    /// A member without exactly one of `run` and `fold`.
    #[error("member {index} has {found}, expected either of `run` and `fold`")]
    Unnamed {
        /// Position in the list, from 0.
        index: usize,
        found: &'static str,
    },
    /// A weight that is not positive and finite.
    #[error("member {index} has weight {found}, expected a positive number")]
    Weight {
        /// Position in the list, from 0.
        index: usize,
        found: f64,
    },
    /// A run that does not exist or is not finished.
    #[error("member {index} is the run `{run}`, expected a finished one: {}", known.join(", "))]
    UnknownRun {
        /// Position in the list, from 0.
        index: usize,
        run: String,
        known: Vec<String>,
    },
    /// A fold without a finished run.
    #[error(
        "member {index} is the run of fold {fold}, expected one of the finished folds {known:?}"
    )]
    UnknownFold {
        /// Position in the list, from 0.
        index: usize,
        fold: usize,
        /// Folds with a finished run.
        known: Vec<usize>,
    },
    /// A run that is listed twice.
    #[error("members {first} and {second} are both the run `{run}`")]
    Twice {
        /// Position of one, from 0.
        first: usize,
        /// Position of the other.
        second: usize,
        run: String,
    },
}

impl EnsembleFileError {
    /// A remedy for the user, if there is one.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Yaml(_) | Self::Empty | Self::Unnamed { .. } => Some(
                "an ensemble file is `{combine: mean, members: [{run: segresnet_0, weight: 2}, {fold: 1}]}`",
            ),
            Self::Twice { .. } => Some("list it once, with the weight that it is to have"),
            Self::UnknownRun { .. } | Self::UnknownFold { .. } => {
                Some("`vesal-train status --work-dir DIR` shows what is trained")
            }
            Self::Bounds(error) => Some(error.hint()),
            Self::Read(_) | Self::Weight { .. } => None,
        }
    }
}

/// Runs that a file lists.
#[derive(Debug)]
pub(super) struct Listed {
    pub combine: Combine,
    pub members: Vec<(Run, f64)>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EnsembleFile {
    #[serde(default)]
    combine: Combine,
    members: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    run: Option<String>,
    fold: Option<usize>,
    #[serde(default = "one")]
    weight: f64,
}

fn one() -> f64 {
    1.0
}

/// Reads a file and finds its members among finished runs.
///
/// **Errors**: [`EnsembleFileError`].
pub(super) fn read(path: &Path, runs: &[Run]) -> Result<Listed, EnsembleFileError> {
    let bytes = regular::read_up_to(path, MAX_FILE_BYTES)?;
    yaml::check(&bytes, MAX_FILE_BYTES)?;
    let file: EnsembleFile = serde_yaml_ng::from_slice(&bytes)?;
    if file.members.is_empty() {
        return Err(EnsembleFileError::Empty);
    }
    let mut members: Vec<(Run, f64)> = Vec::new();
    for (index, entry) in file.members.into_iter().enumerate() {
        let found = entry.weight;
        if !(found.is_finite() && found > 0.0) {
            return Err(EnsembleFileError::Weight { index, found });
        }
        let run = find(index, &entry, runs)?;
        if let Some(first) = members.iter().position(|(other, _)| other.name == run.name) {
            return Err(EnsembleFileError::Twice {
                first,
                second: index,
                run: run.name,
            });
        }
        members.push((run, found));
    }
    Ok(Listed {
        combine: file.combine,
        members,
    })
}

fn find(index: usize, entry: &Entry, runs: &[Run]) -> Result<Run, EnsembleFileError> {
    let unnamed = |found| Err(EnsembleFileError::Unnamed { index, found });
    match (&entry.run, entry.fold) {
        (Some(_), Some(_)) => unnamed("both"),
        (None, None) => unnamed("neither"),
        (Some(name), None) => {
            let run = runs.iter().find(|run| run.name == *name);
            run.cloned().ok_or_else(|| EnsembleFileError::UnknownRun {
                index,
                run: name.clone(),
                known: runs.iter().map(|run| run.name.clone()).collect(),
            })
        }
        (None, Some(fold)) => best_of_fold(runs, fold).ok_or_else(|| {
            let mut known: Vec<usize> = runs.iter().map(|run| run.record.fold).collect();
            known.dedup();
            EnsembleFileError::UnknownFold { index, fold, known }
        }),
    }
}
