//! The contract of a work directory: what the trainer leaves there for other programs.
//!
//! ```text
//! work.json                   folds to train, beside what only the trainer reads
//! <algorithm>_<fold>/run.json the record of a finished run, see [`run_record`](crate::run_record)
//! ```

use serde::Deserialize;
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

/// Name of the directory of a run.
pub fn run_name(algorithm: &str, fold: usize) -> String {
    format!("{algorithm}_{fold}")
}
