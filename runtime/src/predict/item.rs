//! Cases between the stages of the pipeline.

use std::time::Duration;

use vesal_bundle::Bundle;
use vesal_engine::PendingSegmentation;

use crate::error::Error;
use crate::outputs::Outputs;
use crate::record::SeriesRecord;
use vesal_cases::Origin;

/// A case in the pipeline, with the result of the last stage or the error of one.
pub(super) struct PipelineItem<T> {
    pub name: String,
    pub input: Vec<String>,
    pub series: Vec<SeriesRecord>,
    pub outputs: Outputs,
    pub result: Result<T, Error>,
}

/// Facts about a case from its reading, for the results.
pub(super) struct CaseContext {
    pub origin: Origin,
    pub warnings: Vec<String>,
    pub read: Duration,
}

/// A case whose windows are predicted.
pub(super) struct PredictedCase {
    pub pending: PendingSegmentation,
    pub context: CaseContext,
}

impl<T> PipelineItem<T> {
    pub fn then<U>(self, stage: impl FnOnce(T, &Outputs) -> Result<U, Error>) -> PipelineItem<U> {
        let Self {
            name,
            input,
            series,
            outputs,
            result,
        } = self;
        PipelineItem {
            result: result.and_then(|value| stage(value, &outputs)),
            name,
            input,
            series,
            outputs,
        }
    }
}

/// An error with the attempt to run this bundle on this case.
pub(crate) fn attempted(error: Error, bundle: &Bundle, case: &str) -> Error {
    let bundle = &bundle.manifest().name;
    error.attempting(format!("cannot run `{bundle}` on case `{case}`"))
}
