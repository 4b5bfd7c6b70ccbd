//! Analysis: measures a dataset, and finds cases that cannot be used and peculiarities of the others.

mod case;
mod case_outliers;
mod channel;
mod cohort;
mod error;
pub mod findings;
mod histogram;
mod labels;
mod modified_z_score;
mod open;
mod options;
mod schedule;
mod sides;
mod statistics;
pub mod stats;
mod summary;
mod unused;

pub use error::CaseAnalysisError;
pub use options::{AnalysisOptions, HistogramError, HistogramOptions, Measures};

use std::collections::BTreeMap;
use std::path::Path;

use thiserror::Error;

use case::Cohort;
use findings::{Finding, Findings};
use stats::{CaseStats, DatasetSummary};
use vesal_cases::datalist::Case;

#[derive(Debug)]
pub struct Analysis {
    /// Statistics over all usable cases.
    pub summary: DatasetSummary,
    /// Statistics of each usable case, in the datalist's order.
    pub cases: Vec<CaseStats>,
    /// Cases that cannot be used, in the datalist's order.
    pub excluded: Vec<Excluded>,
    /// All findings; each excluded case has an error among them.
    pub findings: Findings,
}

#[derive(Debug)]
pub struct Excluded {
    pub id: String,
    pub reason: CaseAnalysisError,
}

/// Why there are no data stats.
#[derive(Debug, Error)]
pub enum AnalyzeError {
    #[error("none of the {cases} cases can be used; the first is `{id}`")]
    NoUsableCase {
        /// Number of cases.
        cases: usize,
        /// Name of the first case.
        id: String,
        /// Why the first case cannot be used.
        source: Box<CaseAnalysisError>,
    },
    /// No label besides background occurs.
    #[error("none of the {cases} usable cases has a label besides 0")]
    NoForeground {
        /// Number of usable cases.
        cases: usize,
    },
}

/// Measured cases and findings, not yet summarized.
#[derive(Debug)]
pub struct Examination {
    cases: Vec<CaseStats>,
    excluded: Vec<Excluded>,
    pub findings: Findings,
}

/// Measures all cases in parallel, as far as cores and memory allow. Each file is read once, and each case is released
/// as soon as it is measured.
///
/// `observe` is called with the name of each measured case, in any order. A label map is required of every case if any
/// case has one.
///
/// **Definition**: see [`stats::StatsSummary`]; the result does not depend on the number of threads.
///
/// **Errors**: none; a case that cannot be used is left out and has a finding.
pub fn examine(
    cases: &[Case],
    dataroot: &Path,
    options: impl Into<AnalysisOptions>,
    mut observe: impl FnMut(&str),
) -> Examination {
    let options = options.into();
    let labeled = cases.iter().any(|case| case.label.is_some());
    let mut cohort = Cohort::new();
    let mut rejected: BTreeMap<usize, CaseAnalysisError> = BTreeMap::new();
    let open = |position: usize| {
        let opened = open::open(&cases[position], dataroot, labeled)?;
        let bytes = opened.bytes();
        Ok((opened, bytes))
    };
    let work = |opened: open::CaseToMeasure<'_>| opened.measure(&options);
    schedule::for_each(cases.len(), open, work, |position, result| {
        observe(&cases[position].id);
        match result {
            Ok(measured) => {
                cohort.insert(position, measured);
            }
            Err(reason) => {
                rejected.insert(position, reason);
            }
        }
    });
    rejected.extend(cohort::reject(cases, &mut cohort));

    let errors = rejected
        .iter()
        .map(|(&position, reason)| reason.finding(&cases[position].id, dataroot));
    let mut found: Vec<Finding> = errors.collect();
    for measured in cohort.values_mut() {
        found.append(&mut measured.warnings);
    }
    found.extend(cohort::warnings(cases, &cohort, &options));
    found.extend(unused::labels_without_image(cases, dataroot));
    let excluded = |(position, reason): (usize, CaseAnalysisError)| Excluded {
        id: cases[position].id.clone(),
        reason,
    };
    Examination {
        cases: cohort
            .into_values()
            .map(|measured| measured.stats)
            .collect(),
        excluded: rejected.into_iter().map(excluded).collect(),
        findings: Findings::new(cases.len(), found),
    }
}

impl Examination {
    /// Summarizes the usable cases.
    ///
    /// **Errors**: [`AnalyzeError`] where no usable case or no label remains.
    pub fn summarize(mut self) -> Result<Analysis, AnalyzeError> {
        if self.cases.is_empty() && !self.excluded.is_empty() {
            let cases = self.excluded.len();
            let Excluded { id, reason } = self.excluded.swap_remove(0);
            return Err(AnalyzeError::NoUsableCase {
                cases,
                id,
                source: Box::new(reason),
            });
        }
        let labeled = self.cases.iter().any(|case| case.label_stats.is_some());
        let summary = if labeled {
            summary::summarize(&self.cases).map(DatasetSummary::Labeled)
        } else {
            summary::summarize_without_labels(&self.cases).map(DatasetSummary::ImagesOnly)
        };
        let summary = summary.ok_or(AnalyzeError::NoForeground {
            cases: self.cases.len(),
        })?;
        Ok(Analysis {
            summary,
            cases: self.cases,
            excluded: self.excluded,
            findings: self.findings,
        })
    }
}

/// [`examine`]s the cases and summarizes the usable ones.
///
/// **Errors**: [`AnalyzeError`] where no usable case or no label remains. A case that cannot be used is no error: it is
/// left out.
pub fn analyze(
    cases: &[Case],
    dataroot: &Path,
    options: impl Into<AnalysisOptions>,
    observe: impl FnMut(&str),
) -> Result<Analysis, AnalyzeError> {
    examine(cases, dataroot, options, observe).summarize()
}
