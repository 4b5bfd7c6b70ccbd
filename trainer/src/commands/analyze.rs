//! `vesal-train analyze`.

use vesal_cli::{Exit, Failure};

use super::{analyze_cases, exit, prepare};
use crate::cli::AnalyzeArguments;

/// Measures the cases anew and writes the data stats.
pub fn run(arguments: &AnalyzeArguments) -> Result<Exit, Failure> {
    let mut work = prepare(&arguments.work, Some(&arguments.set_up), None)?;
    let excluded = analyze_cases(&mut work, true)?;
    Ok(exit(&excluded))
}
