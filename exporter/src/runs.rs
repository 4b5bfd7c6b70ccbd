//! The finished runs of a work directory.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;
use vesal_bundle::case_scores::CaseScores;
use vesal_bundle::run_record::{self, RunRecord, RunRecordError};
use vesal_bundle::work_dir::{self, RunId, WorkFolds};
use vesal_files::document::{self, DocumentError};

/// Why the runs of a work directory cannot be listed.
#[derive(Debug, Error)]
pub enum RunsError {
    /// The work directory cannot be listed.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The directory or file.
        path: PathBuf,
        source: io::Error,
    },
    /// The record of the work directory is invalid.
    #[error("`{}` does not tell the folds to train", path.display())]
    WorkRecord {
        path: PathBuf,
        source: DocumentError,
    },
    /// No run has ended.
    #[error("`{}` has no finished run, expected `<algorithm>_<fold>/{}`", path.display(), run_record::FILE_NAME)]
    None { path: PathBuf },
    /// A folder with the name of another run.
    #[error("the folder `{run}` has the record of the run `{found}`")]
    Misnamed { run: String, found: RunId },
    /// A copy of a run, or a record that names the weights of another one.
    #[error("the runs `{first}` and `{second}` have the same weights")]
    SameWeights { first: String, second: String },
    /// A run record, or a file that it names, is unusable.
    #[error("the run `{run}` is unusable")]
    Record { run: String, source: RunRecordError },
}

impl RunsError {
    /// A remedy for the user, if there is one.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::None { .. } => Some("`vesal-train status --work-dir DIR` shows what is trained"),
            Self::Record { source, .. } => source.hint(),
            Self::Misnamed { .. } | Self::SameWeights { .. } => {
                Some("remove the copy from the work directory")
            }
            Self::Read { .. } => None,
            Self::WorkRecord { source, .. } => source.hint(),
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Run {
    /// Name of its directory.
    pub name: String,
    pub directory: PathBuf,
    pub record: RunRecord,
}

impl Run {
    /// Wraps an error of its record.
    pub fn broken(&self) -> impl Fn(RunRecordError) -> RunsError + use<> {
        let run = self.name.clone();
        move |source| RunsError::Record {
            run: run.clone(),
            source,
        }
    }

    /// Scores of the cases that it held out, if it has them.
    ///
    /// **Errors**: they changed after the training, or are unreadable.
    pub fn scores(&self) -> Result<Option<CaseScores>, RunsError> {
        let Some(file) = &self.record.scores else {
            return Ok(None);
        };
        file.read(&self.directory)
            .and_then(|bytes| CaseScores::from_json(&bytes))
            .map(Some)
            .map_err(self.broken())
    }
}

/// Finds the finished runs of a work directory, by fold and name: the folders with a run record.
///
/// **Errors**: there is none, or one is unreadable; a run is there twice.
pub(crate) fn find(work_dir: &Path) -> Result<Vec<Run>, RunsError> {
    let unreadable = |source| RunsError::Read {
        path: work_dir.into(),
        source,
    };
    let mut runs = Vec::new();
    for entry in work_dir.read_dir().map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let (directory, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy().into_owned();
        let path = directory.join(run_record::FILE_NAME);
        if name.starts_with('.') || !path.is_file() {
            continue;
        }
        match RunRecord::read(&path) {
            Ok(record) => runs.push(Run {
                name,
                directory,
                record,
            }),
            Err(source) => return Err(RunsError::Record { run: name, source }),
        }
    }
    if runs.is_empty() {
        return Err(RunsError::None {
            path: work_dir.into(),
        });
    }
    runs.sort_by(|a, b| (a.record.fold, &a.name).cmp(&(b.record.fold, &b.name)));
    check_names(&runs)?;
    Ok(runs)
}

/// Checks that folders with names of runs have the records of these, and that no run is there twice.
fn check_names(runs: &[Run]) -> Result<(), RunsError> {
    let mut known: BTreeMap<&str, &Run> = BTreeMap::new();
    for run in runs {
        let Run { name, record, .. } = run;
        let found = RunId::new(&record.algorithm, record.fold);
        if name.parse::<RunId>().is_ok_and(|named| named != found) {
            let run = name.clone();
            return Err(RunsError::Misnamed { run, found });
        }
        if let Some(first) = known.insert(&record.weights.sha256, run) {
            return Err(RunsError::SameWeights {
                first: first.name.clone(),
                second: name.clone(),
            });
        }
    }
    Ok(())
}

/// Folds that a work directory is to train; `None` where it has no record.
///
/// **Errors**: the directory's record is unreadable.
pub(crate) fn folds_to_train(directory: &Path) -> Result<Option<Vec<usize>>, RunsError> {
    let path = directory.join(work_dir::FILE_NAME);
    match document::read::<WorkFolds>(&path) {
        Ok(work) => Ok(Some(work.folds)),
        Err(error) if error.is_absent() => Ok(None),
        Err(source) => Err(RunsError::WorkRecord { path, source }),
    }
}
