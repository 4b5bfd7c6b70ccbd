//! Errors of a work directory.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use thiserror::Error;
use vesal_cases::datalist::DatalistError;
use vesal_files::{AtomicError, DocumentError};

use crate::algorithms::UnknownAlgorithm;
use crate::analyze::AnalyzeError;
use crate::folds::FoldError;
use crate::planner::PlannerError;
use crate::settings::OverrideError;
use crate::task::TaskError;
use crate::yaml::YamlReadError;

#[derive(Debug, Error)]
pub enum WorkError {
    #[error("cannot use the task `{}`", path.display())]
    Task { path: PathBuf, source: TaskError },
    #[error(transparent)]
    Setting(#[from] OverrideError),
    #[error("cannot use the datalist `{}`", path.display())]
    Datalist {
        path: PathBuf,
        source: DatalistError,
    },
    /// The cases cannot be assigned to folds.
    #[error(transparent)]
    Folds(#[from] FoldError),
    /// The directory was not set up.
    #[error("`{}` is no work directory: it has no `work.json`", path.display())]
    NotSetUp { path: PathBuf },
    /// The data root does not exist.
    #[error("the data root `{}` is not there", path.display())]
    NoDataroot { path: PathBuf },
    #[error("cannot read `{}`", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Write(#[from] AtomicError),
    #[error("cannot make the directory `{}`", path.display())]
    MakeDirectory { path: PathBuf, source: io::Error },
    /// A document of the work directory cannot be read or does not follow its format.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The data stats do not follow their format.
    #[error("`{}` does not follow its format", path.display())]
    Yaml {
        path: PathBuf,
        source: YamlReadError,
    },
    #[error(transparent)]
    Analyze(#[from] AnalyzeError),
    /// The data stats are of images without labels.
    #[error("the cases have no label maps, expected one for each case to plan and train")]
    NoLabels,
    #[error(transparent)]
    Plan(#[from] PlannerError),
    #[error(transparent)]
    Algorithm(#[from] UnknownAlgorithm),
    /// All named algorithms were skipped; reasons by name.
    #[error("no algorithm is left: {}", reasons(.0))]
    Skipped(BTreeMap<String, String>),
    /// An outdated file cannot be removed.
    #[error("cannot remove `{}`", path.display())]
    Remove { path: PathBuf, source: io::Error },
    /// An earlier stage was not done.
    #[error("there is no `{missing}` in the work directory")]
    StageMissing {
        /// File that the stage writes.
        missing: String,
        /// Command that writes it.
        command: &'static str,
    },
    /// A file was changed after another one was made from it.
    #[error("`{file}` is not what it was when the plan was made")]
    Changed { file: String },
    /// The fold is not among those to train.
    #[error("fold {found} is not among the folds to train, which are {folds:?}")]
    NoSuchFold {
        found: usize,
        /// Folds to train.
        folds: Vec<usize>,
    },
}

/// The cause of a [`WorkError`], which determines the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    Usage,
    Input,
    Plan,
    Output,
}

impl WorkError {
    pub fn fault(&self) -> Fault {
        match self {
            Self::Setting(_)
            | Self::Algorithm(_)
            | Self::Skipped(_)
            | Self::NoSuchFold { .. }
            | Self::StageMissing { .. }
            | Self::NotSetUp { .. } => Fault::Usage,
            Self::Task { .. }
            | Self::Datalist { .. }
            | Self::Folds(_)
            | Self::NoDataroot { .. }
            | Self::Read { .. }
            | Self::Document(DocumentError::Read { .. })
            | Self::NoLabels
            | Self::Analyze(_) => Fault::Input,
            Self::Document(DocumentError::Write(_)) => Fault::Output,
            Self::Document(_) | Self::Yaml { .. } | Self::Plan(_) | Self::Changed { .. } => {
                Fault::Plan
            }
            Self::Write(_) | Self::MakeDirectory { .. } | Self::Remove { .. } => Fault::Output,
        }
    }

    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Task { source, .. } => source.hint(),
            Self::Datalist { source, .. } => source.hint(),
            Self::Folds(error) => error.hint(),
            Self::Plan(error) => error.hint(),
            Self::Write(error) => error.hint(),
            Self::Skipped(_) => Some(
                "name others with `--algorithms`, or plan all the same with `--set allow_skip=false`",
            ),
            Self::NotSetUp { .. } => Some("`--input task.yaml` sets it up"),
            Self::NoDataroot { .. } => {
                Some("tell where the data are with `--dataroot DIR` or VESAL_DATAROOT")
            }
            Self::StageMissing { command, .. } => {
                return Some(format!("run `{command} --work-dir DIR` first"));
            }
            Self::Analyze(_) => {
                Some("`findings.json` in the work directory tells what is wrong with each case")
            }
            Self::NoLabels => Some(
                "add \"label\" to the cases of the datalist, then run `vesal-train analyze --input task.yaml` again",
            ),
            Self::Changed { .. } => Some(
                "run `vesal-train plan --work-dir DIR` to plan again; change decisions with `--set NAME=VALUE`, not in the files",
            ),
            Self::Document(DocumentError::Version { .. }) => {
                Some("another version of Vesal wrote it: start with a new work directory")
            }
            Self::Document(DocumentError::Write(error)) => error.hint(),
            Self::Document(DocumentError::Read { .. }) => None,
            Self::Document(_) | Self::Yaml { .. } => {
                Some("remove it and run the stage that writes it again")
            }
            _ => None,
        };
        text.map(str::to_owned)
    }
}

/// The text `a is skipped, because …; b is skipped, because …`.
fn reasons(skipped: &BTreeMap<String, String>) -> String {
    let each: Vec<_> = skipped
        .iter()
        .map(|(name, reason)| format!("{name} is skipped, because {reason}"))
        .collect();
    each.join("; ")
}
