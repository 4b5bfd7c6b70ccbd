//! Names of the files of a work directory, and how they are read.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use vesal_bundle::deploy_plan;
use vesal_bundle::work_dir;
use vesal_files::{document, regular};

use super::error::WorkError;
use super::record::WorkRecord;
use crate::train_plan;
use crate::yaml;

pub(super) const TASK: &str = "task.yaml";
pub(super) const DATALIST: &str = "datalist.json";
pub(super) const RECORD: &str = work_dir::FILE_NAME;
pub(super) const DATA_STATS: &str = "datastats.yaml";
pub(super) const DATA_STATS_BY_CASE: &str = "datastats_by_case.yaml";
/// Limit of data stats in bytes; a case has some kilobytes.
const MAX_STATS_BYTES: u64 = 1 << 30;
pub(super) const FINDINGS: &str = "findings.json";
pub(super) const DEPLOY_PLAN: &str = deploy_plan::FILE_NAME;
pub(super) const TRAIN_PLAN: &str = train_plan::FILE_NAME;

pub(super) fn read(path: &Path) -> Result<Vec<u8>, WorkError> {
    regular::read(path).map_err(|source| WorkError::Read {
        path: path.to_owned(),
        source,
    })
}

/// Decodes data stats of any number of cases.
pub(super) fn parse_stats<T: DeserializeOwned>(
    path: PathBuf,
    bytes: &[u8],
) -> Result<T, WorkError> {
    yaml::from_slice(bytes, MAX_STATS_BYTES).map_err(|source| WorkError::Yaml { path, source })
}

pub(super) fn read_record(directory: &Path) -> Result<WorkRecord, WorkError> {
    match document::read(&directory.join(RECORD)) {
        Err(error) if error.is_absent() => Err(WorkError::NotSetUp {
            path: directory.to_owned(),
        }),
        other => Ok(other?),
    }
}
