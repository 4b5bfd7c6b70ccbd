//! One page about a work directory for people: data, findings, plan, training, scores and the worst cases.
//!
//! The page is a single HTML file in XML's syntax, without scripts and without anything from elsewhere. All text from
//! tasks and datalists is escaped; paths of this machine do not get into it. The same work directory gives the same page.

mod axis;
mod data;
mod findings;
mod format;
mod options;
mod page;
mod plan;
mod plot;
mod png;
mod scores;
mod slice;
mod summary;
mod training;
mod worst;

pub use options::ReportOptions;

use thiserror::Error;

use crate::fit::FitError;
use crate::work_dir::{WorkDir, WorkError};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub html: String,
    /// What could not be shown, and why; not part of the page.
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
pub fn report(work: &WorkDir, options: &ReportOptions) -> Result<Report, ReportError> {
    let mut left_out = Vec::new();
    let scores = work.scores(&work.runs())?;
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
