//! Inputs and outputs of the stages, and when they have to be repeated.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use serde_json::json;
use vesal_bundle::work_dir::RunId;
use vesal_cases::datalist::Case;
use vesal_files::{digest, document};

use super::files::{DATA_STATS, DATA_STATS_BY_CASE, TASK};
use super::record::AnalysisRecord;
use super::{WorkDir, WorkError};
use crate::analyze::stats::{DataStats, DataStatsByCase, ExcludedCase};
use crate::analyze::{self, AnalysisOptions, Measures};
use crate::dataset::TrainingCase;
use crate::device::TrainDevices;
use crate::fit::FitRequest;
use crate::memory::cases_budget;
use crate::task::Classes;

/// Version of the analysis, increased when the same images give other data stats.
const ANALYSIS_VERSION: u32 = 2;

/// Whether a stage was performed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// It was performed now.
    Now,
    /// Its results existed and were up to date.
    Before,
}

impl WorkDir {
    /// Measures the cases and writes data stats and findings, unless they are up to date and `again` is not set.
    /// Optional measures of an earlier analysis are repeated.
    ///
    /// `observe` is called with each measured case. Returns the cases that cannot be used.
    ///
    /// **Errors**: [`WorkError`]; findings are written even then, if there are any.
    pub fn analyze(
        &mut self,
        again: bool,
        observe: impl FnMut(&str),
    ) -> Result<(Made, Vec<ExcludedCase>), WorkError> {
        let measures = self
            .record
            .analysis
            .as_ref()
            .map(|done| done.measures.clone())
            .unwrap_or_default();
        self.analyze_with(measures, again, observe)
    }

    /// [`WorkDir::analyze`] with these optional measures.
    ///
    /// **Errors**: as [`WorkDir::analyze`].
    pub fn analyze_with(
        &mut self,
        measures: Measures,
        again: bool,
        observe: impl FnMut(&str),
    ) -> Result<(Made, Vec<ExcludedCase>), WorkError> {
        if !self.dataroot.is_dir() {
            return Err(WorkError::NoDataroot {
                path: self.dataroot.clone(),
            });
        }
        let inputs = self.analysis_inputs(&measures);
        if let Some(done) = &self.record.analysis
            && !again
            && done.inputs == inputs
            && self.digest(DATA_STATS).as_ref() == Some(&done.data_stats)
            && self.findings_path().exists()
        {
            return Ok((Made::Before, done.excluded.clone()));
        }
        let options = AnalysisOptions {
            labels: self.labels(),
            others_are_background: self.joins_labels(),
            histogram: measures.histogram.clone(),
            components: measures.components,
        };
        let examination =
            analyze::examine(&self.datalist.training, &self.dataroot, options, observe);
        document::write(&self.findings_path(), &examination.findings)?;
        let analysis = examination.summarize()?;
        let found_labels = match &self.task.classes {
            Some(_) => Vec::new(),
            None => analysis.summary.foreground_labels(),
        };
        let classes = self.task.classes_with(&found_labels);
        let classes = classes.map_err(|source| WorkError::Task {
            path: self.path.join(TASK),
            source,
        })?;
        let excluded: Vec<_> = analysis
            .excluded
            .iter()
            .map(|excluded| ExcludedCase {
                case: excluded.id.clone(),
                reason: excluded.reason.message(&self.dataroot),
            })
            .collect();
        let stats = DataStats {
            stats_summary: analysis.summary,
        };
        self.write_yaml(DATA_STATS, &stats)?;
        let by_case = DataStatsByCase {
            stats_summary: stats.stats_summary,
            stats_by_cases: analysis.cases,
            excluded_cases: excluded.clone(),
        };
        self.write_yaml(DATA_STATS_BY_CASE, &by_case)?;
        let data_stats = self.digest(DATA_STATS).unwrap_or_default();
        self.record.analysis = Some(AnalysisRecord {
            inputs,
            measures,
            data_stats,
            found_labels,
            excluded: excluded.clone(),
        });
        self.classes = classes;
        self.write_record()?;
        Ok((Made::Now, excluded))
    }

    /// Labels besides 0 that the task names; `None` where it names none.
    fn labels(&self) -> Option<BTreeSet<u16>> {
        let classes = self.task.classes.as_ref();
        classes.map(|classes| classes.annotated().into_iter().collect())
    }

    fn joins_labels(&self) -> bool {
        self.task
            .classes
            .as_ref()
            .is_some_and(Classes::joins_labels)
    }

    /// The request for the training of a run, with the [default](cases_budget) memory for cases.
    ///
    /// **Errors**: [`WorkError`] for a fold that is not to be trained, for absent plans, and for plans or data stats
    /// that changed since the planning.
    pub fn fit_request(
        &self,
        run: &RunId,
        devices: TrainDevices,
        stop: Arc<AtomicBool>,
    ) -> Result<FitRequest, WorkError> {
        if !self.record.folds.contains(&run.fold) {
            return Err(WorkError::NoSuchFold {
                found: run.fold,
                folds: self.record.folds.clone(),
            });
        }
        let [deploy_plan_path, train_plan_path] = self.checked_plans(&run.algorithm)?;
        if !self.dataroot.is_dir() {
            return Err(WorkError::NoDataroot {
                path: self.dataroot.clone(),
            });
        }
        Ok(FitRequest {
            run_dir: self.run_dir(run),
            fold: run.fold,
            cases: self.training_cases(),
            deploy_plan_path,
            train_plan_path,
            data_stats_path: self.path.join(DATA_STATS),
            devices,
            max_ram_bytes: cases_budget(),
            stop,
        })
    }

    pub(super) fn usable_cases(&self) -> impl Iterator<Item = &Case> {
        let excluded = self
            .record
            .analysis
            .as_ref()
            .map(|done| done.excluded.as_slice())
            .unwrap_or_default();
        self.datalist
            .training
            .iter()
            .filter(|case| excluded.iter().all(|other| other.case != case.id))
    }

    /// Cases with labels and folds, and the paths of their files.
    pub(super) fn training_cases(&self) -> Vec<TrainingCase> {
        let cases = self.usable_cases();
        cases.filter_map(|case| self.training_case(case)).collect()
    }

    fn training_case(&self, case: &Case) -> Option<TrainingCase> {
        let located =
            |files: &[String]| files.iter().map(|file| self.dataroot.join(file)).collect();
        Some(TrainingCase {
            id: case.id.clone(),
            images: located(&case.images),
            further: located(&case.further),
            label: self.dataroot.join(case.label.as_ref()?),
            fold: case.fold?,
        })
    }

    /// Digest of the inputs of the data stats. The sizes of files represent their content.
    fn analysis_inputs(&self, measures: &Measures) -> String {
        let size = |file: &String| {
            std::fs::metadata(self.dataroot.join(file))
                .ok()
                .map(|found| found.len())
        };
        let case = |case: &Case| {
            let sizes: Vec<_> = case.files().map(size).collect();
            json!([
                case.id,
                case.images,
                case.further,
                case.label,
                case.fold,
                case.patient,
                sizes
            ])
        };
        let cases: Vec<_> = self.datalist.training.iter().map(case).collect();
        fingerprint(&json!([ANALYSIS_VERSION, self.labels(), measures, cases]))
    }
}

fn fingerprint(value: &serde_json::Value) -> String {
    digest::sha256(value.to_string().as_bytes())
}
