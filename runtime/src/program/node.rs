//! What `vesal predict` is told by a node.

use clap::Parser;
use vesal::predict::PredictOptions;
use vesal::serve::error::ServeError;
use vesal_node::{ChildProcess, PredictionRequest};

use crate::cli::{Cli, Command};

/// What `vesal predict` understands when a node tells it to predict a job.
///
/// **Errors**: [`ServeError::Options`].
pub fn understand(request: &PredictionRequest<'_>) -> Result<PredictOptions, ServeError> {
    let told = std::iter::once("vesal".into()).chain(ChildProcess::arguments(request));
    let reason = match Cli::try_parse_from(told) {
        Ok(Cli {
            command: Command::Predict(arguments),
        }) => return Ok(arguments.options),
        Ok(_) => "its `options` are no options of `vesal predict`".to_owned(),
        Err(error) => {
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default();
            first.trim_start_matches("error: ").to_owned()
        }
    };
    Err(ServeError::Options { reason })
}
