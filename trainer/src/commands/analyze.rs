//! `vesal-train analyze`.

use std::path::PathBuf;

use thiserror::Error;
use vesal_cli::{Exit, Failure};
use vesal_trainer::analyze::{HistogramOptions, Measures};

use super::failure::failure;
use super::findings::count;
use super::{analyze_cases_with, exit, prepare};
use crate::cli::AnalyzeArguments;

/// Findings exist although `--strict` allows none.
#[derive(Debug, Error)]
#[error("{} in `{}`, expected none with `--strict`", count(*findings, "finding"), path.display())]
struct Strict {
    findings: usize,
    path: PathBuf,
}

/// Measures the cases again and writes data stats and findings.
pub fn run(arguments: &AnalyzeArguments) -> Result<Exit, Failure> {
    let histogram = arguments
        .histogram_bins
        .map(|bins| HistogramOptions::new(bins, &arguments.histogram_range))
        .transpose()
        .map_err(|error| Failure::new(Exit::Usage, error))?;
    let measures = Measures {
        histogram,
        components: arguments.components,
    };
    let mut work = prepare(&arguments.work, Some(&arguments.set_up), None)?;
    let excluded = analyze_cases_with(&mut work, measures)?;
    let findings = work.findings().map_err(failure)?.findings.len();
    if arguments.strict && findings > 0 {
        let path = work.findings_path();
        return Err(Failure::new(Exit::Input, Strict { findings, path })
            .attempting("the data are not clean")
            .hint("each finding above has its remedy".to_owned()));
    }
    Ok(exit(&excluded))
}
