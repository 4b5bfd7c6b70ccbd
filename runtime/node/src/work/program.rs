//! Command line and exit codes of a program that predicts.

use std::ffi::OsString;

use crate::reason::Reason;
use crate::work::request::PredictionRequest;

/// The command line and the exit codes of a program that predicts. The program that defines these implements the trait.
pub trait PredictionProgram: Send + Sync {
    /// Arguments with which the program makes a prediction. Where it fails, it may write the [`Reason`] as JSON to
    /// [`PredictionRequest::failure_file`].
    fn arguments(&self, request: &PredictionRequest<'_>) -> Vec<OsString>;

    fn meaning(&self, exit: i32) -> ExitMeaning;
}

/// Meaning of an exit code for a job. The reasons apply where the program wrote none.
#[derive(Debug, Clone, PartialEq)]
pub enum ExitMeaning {
    Done,
    /// The images are unsuitable, and stay so.
    Failed(Reason),
    /// Another attempt may succeed, because the cause can be corrected.
    Retry(Reason),
    /// The program was stopped.
    Interrupted,
}
