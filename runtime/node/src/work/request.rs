//! The interface between a node and the program that predicts.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::Service;
use crate::queue::RunOutcome;
use crate::stop::Stop;

/// A prediction to be made.
#[derive(Debug)]
pub struct PredictionRequest<'a> {
    /// The service, with bundle and settings.
    pub service: &'a Service,
    /// Folder with the images.
    pub input: &'a Path,
    /// Empty folder for the results.
    pub output: &'a Path,
    pub limit: Duration,
    /// Whether results state that instances may be missing.
    pub mark_incomplete: bool,
    /// File of the key that UIDs of results are made with.
    pub uid_key: &'a Path,
    /// Limit of memory in bytes.
    pub run_ram: Option<u64>,
}

impl PredictionRequest<'_> {
    /// File among the results for the reason of a failure.
    pub fn failure_file(&self) -> PathBuf {
        self.output.join("failure.json")
    }
}

pub trait Predict: Send + Sync {
    /// Predicts; returns soon once `stop` is requested.
    fn predict(&self, request: &PredictionRequest<'_>, stop: &Stop) -> RunOutcome;
}
