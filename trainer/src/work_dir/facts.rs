//! Facts about a work directory, for reports.

use std::path::Path;

use serde::de::IgnoredAny;
use vesal_bundle::deploy_plan::Modality;
use vesal_cases::datalist::Case;

use super::files::{DATA_STATS_BY_CASE, parse_stats, read};
use super::{WorkDir, WorkError};
use crate::analyze::stats::{CaseStats, DataStatsByCase};

impl WorkDir {
    pub fn name(&self) -> &str {
        &self.task.name
    }

    /// Modality of the first image.
    pub fn modality(&self) -> Modality {
        self.task.modality
    }

    /// Folder that the paths of the datalist are relative to.
    pub fn dataroot(&self) -> &Path {
        &self.dataroot
    }

    pub fn case(&self, name: &str) -> Option<&Case> {
        self.datalist.training.iter().find(|case| case.id == name)
    }

    /// Name of a label value of the training data.
    pub fn label_name(&self, value: u16) -> String {
        let name = self
            .classes
            .as_ref()
            .and_then(|classes| classes.name_of(value));
        match (value, name) {
            (0, _) => "background".to_owned(),
            (_, Some(name)) => name.to_owned(),
            (_, None) => format!("label {value}"),
        }
    }

    /// Statistics of each usable case, in the datalist's order; `None` before the analysis.
    ///
    /// **Errors**: [`WorkError`].
    pub fn case_stats(&self) -> Result<Option<Vec<CaseStats>>, WorkError> {
        let path = self.path.join(DATA_STATS_BY_CASE);
        if !self.is_analyzed() || !path.exists() {
            return Ok(None);
        }
        let bytes = read(&path)?;
        let stats: DataStatsByCase<IgnoredAny> = parse_stats(path, &bytes)?;
        Ok(Some(stats.stats_by_cases))
    }
}
