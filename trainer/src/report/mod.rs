//! One page about a work directory for people: data, findings, plan, training, scores and the worst cases.
//!
//! The page is a single HTML file in XML's syntax, without scripts and without anything from elsewhere. All text from
//! tasks and datalists is escaped; paths of this machine do not get into it. The same work directory gives the same page.

mod axis;
mod data;
mod findings;
mod page;
mod plan;
mod plot;
mod png;
mod scores;
mod slice;
mod summary;
mod training;
mod worst;

use thiserror::Error;
use vesal_bundle::case_scores::CaseScores;

use crate::fit::{self, FitError, TrainDevices};
use crate::work_dir::{WorkDir, WorkError};

/// What to show beyond what is in the work directory.
#[derive(Debug, Clone)]
pub struct Options {
    /// How many of the worst cases to predict again.
    pub worst: usize,
    /// Where to predict them.
    pub devices: TrainDevices,
}

/// A page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The page itself.
    pub html: String,
    /// What could not be shown, and why, for who asked for the page.
    pub left_out: Vec<String>,
}

/// Why there is no page.
#[derive(Debug, Error)]
pub enum ReportError {
    /// Something in the work directory cannot be read.
    #[error(transparent)]
    Work(#[from] WorkError),
    /// A run's files cannot be read.
    #[error(transparent)]
    Fit(#[from] FitError),
}

/// Makes the page of a work directory, of as much as there is.
///
/// **Errors**: [`ReportError`] for files that are there but cannot be read. Images that cannot be shown are no error.
pub fn report(work: &WorkDir, options: &Options) -> Result<Report, ReportError> {
    let mut left_out = Vec::new();
    let scores = work
        .folds()
        .iter()
        .map(|&fold| fit::scores(&work.run_dir(fold)).map_err(FitError::from))
        .collect::<Result<Vec<Option<CaseScores>>, _>>()?;
    let scores: Vec<CaseScores> = scores.into_iter().flatten().collect();
    let sections = [
        summary::section(work, &scores),
        data::section(work)?,
        findings::section(work, &mut left_out)?,
        plan::section(work)?,
        training::section(work)?,
        scores::section(work, &scores),
        worst::section(work, &scores, options, &mut left_out),
    ];
    let lead = "What Vesal found in the data, decided, trained and scored.";
    Ok(Report {
        html: page::page(work.name(), lead, &sections),
        left_out,
    })
}

/// An error with its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// `1 case`, `2 cases`.
fn count(number: usize, of: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {of}{plural}")
}

/// A Dice score, or a dash.
fn dice(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |dice| format!("{dice:.3}"))
}

/// A number to about three digits.
fn short(value: f64) -> String {
    match value.abs() {
        small if small < 10.0 => format!("{value:.2}"),
        medium if medium < 100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}
