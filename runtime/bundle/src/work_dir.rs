//! The contract of a work directory: the files that the trainer leaves for other programs.
//!
//! ```text
//! work.json                    folds to train, beside what only the trainer reads
//! <algorithm>_<fold>/run.json  the record of a finished run, see [`run_record`](crate::run_record)
//! ```
//!
//! A run record names the weights and the deploy plan that they were trained under. The plan is in the directory of the
//! run; in work directories from before there were several algorithms, it is beside `work.json`.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use thiserror::Error;
use vesal_files::VersionedDocument;

/// File name of the work directory's record.
pub const FILE_NAME: &str = "work.json";

/// The part of the work directory's record that other programs read; all other fields are the trainer's.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct WorkFolds {
    /// Folds to train.
    pub folds: Vec<usize>,
}

impl VersionedDocument for WorkFolds {
    const FORMAT: &str = "vesal-work";
    const VERSION: u32 = 1;
    const MAX_BYTES: u64 = 64 << 20;
}

/// A run: an algorithm, trained on all folds but one. Its text is the name of its directory, `<algorithm>_<fold>`.
///
/// ```
/// use vesal_bundle::work_dir::RunId;
///
/// let run: RunId = "segresnet_3".parse().unwrap();
/// assert_eq!((run.algorithm.as_str(), run.fold), ("segresnet", 3));
/// assert_eq!(run.to_string(), "segresnet_3");
/// assert!("segresnet_03".parse::<RunId>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RunId {
    pub algorithm: String,
    /// Fold held out.
    pub fold: usize,
}

impl RunId {
    pub fn new(algorithm: impl Into<String>, fold: usize) -> Self {
        Self {
            algorithm: algorithm.into(),
            fold,
        }
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.algorithm, self.fold)
    }
}

/// A text that names no run.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{found:?} names no run, expected `<algorithm>_<fold>`")]
pub struct RunIdError {
    pub found: String,
}

impl FromStr for RunId {
    type Err = RunIdError;

    fn from_str(text: &str) -> Result<Self, RunIdError> {
        let run = text.rsplit_once('_').and_then(|(algorithm, fold)| {
            let run = Self::new(algorithm, fold.parse().ok()?);
            // One run has one name: no sign, no leading zero.
            (!algorithm.is_empty() && run.to_string() == text).then_some(run)
        });
        run.ok_or_else(|| RunIdError { found: text.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_has_one_name() {
        for (algorithm, fold) in [("segresnet", 0), ("segresnet2d", 11), ("a_b", 2)] {
            let run = RunId::new(algorithm, fold);
            assert_eq!(run.to_string().parse(), Ok(run));
        }
        for found in [
            "",
            "segresnet",
            "segresnet_",
            "_1",
            "segresnet_+1",
            "segresnet_01",
            "segresnet_1_long",
            "segresnet_99999999999999999999",
        ] {
            let found = found.to_owned();
            assert_eq!(found.parse::<RunId>(), Err(RunIdError { found }));
        }
    }
}
