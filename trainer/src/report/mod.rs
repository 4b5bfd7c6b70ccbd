//! A page about a work directory: data, findings, plan, training, scores and the worst cases.
//!
//! The page is a single HTML file in XML syntax, without scripts or external resources. All text from tasks and
//! datalists is escaped, and paths of this machine are left out. The same work directory gives the same page.

mod axis;
mod comparison;
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
    /// Parts that could not be shown, and why; they are not part of the page.
    pub left_out: Vec<String>,
}

/// Why the page cannot be made.
#[derive(Debug, Error)]
pub enum ReportError {
    #[error(transparent)]
    Work(#[from] WorkError),
    #[error(transparent)]
    Fit(#[from] FitError),
}

/// Makes the page of a work directory, from the stages that are done.
///
/// **Errors**: [`ReportError`] for files that exist but cannot be read. Images that cannot be shown are no error.
pub fn report(work: &WorkDir, options: &ReportOptions) -> Result<Report, ReportError> {
    let mut left_out = Vec::new();
    let scores = work.scores(&work.runs())?;
    let mut sections = vec![
        summary::section(work, &scores),
        data::section(work)?,
        findings::section(work, &mut left_out)?,
        plan::section(work)?,
        training::section(work)?,
    ];
    sections.extend(comparison::section(work, &scores)?);
    sections.extend([
        scores::section(work, &scores),
        worst::section(work, &scores, options, &mut left_out),
    ]);
    let lead = "What Vesal found in the data, decided, trained and scored.";
    Ok(Report {
        html: page::page(work.name(), lead, &sections),
        left_out,
    })
}
