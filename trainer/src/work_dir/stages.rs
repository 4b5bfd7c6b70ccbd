//! What each stage reads, writes, and takes as reason to run again.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use serde_json::json;
use vesal_cases::datalist::Case;
use vesal_files::{atomic, digest, document};

use super::record::{AnalysisRecord, PlanRecord};
use super::{
    DATA_STATS, DATA_STATS_BY_CASE, DEPLOY_PLAN, TRAIN_PLAN, WorkDir, WorkError, parse_stats, read,
};
use crate::algorithms;
use crate::analyze::stats::{DataStats, DataStatsByCase, ExcludedCase};
use crate::analyze::{self, AnalysisOptions, Measures};
use crate::dataset::TrainingCase;
use crate::device::TrainDevices;
use crate::fit::FitRequest;
use crate::memory::{GIB, cases_budget};
use crate::planner::{self, Budget, Decision, PlannerInput, PlannerOutput};

/// Rises when the same images would give other data stats.
const ANALYSIS_VERSION: u32 = 2;
/// Rises when the same data stats would give other plans.
const PLANNER_VERSION: u32 = 2;

/// Whether a stage had something to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// It ran.
    Now,
    /// What it makes was there and up to date.
    Before,
}

/// Plans, and what they follow from.
struct Derived {
    plans: PlannerOutput,
    inputs: String,
    data_stats: String,
    host_memory_gib: Option<f64>,
}

impl WorkDir {
    /// Measures the cases and writes data stats and findings, unless they are up to date or `again` is asked for; what
    /// was measured beyond the usual is measured again.
    ///
    /// `observe` is called with each case that is done. Gives the cases that cannot be used.
    ///
    /// **Errors**: [`WorkError`]; the findings are written nevertheless where there are any.
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

    /// [`WorkDir::analyze`], measuring this beyond the usual.
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
            others_are_background: self.task.classes.is_indexed(),
            histogram: measures.histogram.clone(),
            components: measures.components,
        };
        let examination =
            analyze::examine(&self.datalist.training, &self.dataroot, options, observe);
        document::write(&self.findings_path(), &examination.findings)?;
        let analysis = examination.summarize()?;
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
            excluded: excluded.clone(),
        });
        self.write_record()?;
        Ok((Made::Now, excluded))
    }

    /// Labels besides 0 that the task names.
    fn labels(&self) -> BTreeSet<u16> {
        self.task.classes.annotated().into_iter().collect()
    }

    /// Plans from the data stats, unless the plans are up to date or `again` is asked for.
    ///
    /// Gives the plans as well, for they can be derived at any time.
    ///
    /// **Errors**: [`WorkError`].
    pub fn plan(&mut self, again: bool) -> Result<(Made, PlannerOutput), WorkError> {
        let derived = self.derive_plans()?;
        if !again && self.is_current(&derived) {
            return Ok((Made::Before, derived.plans));
        }
        let Derived {
            plans,
            inputs,
            data_stats,
            host_memory_gib,
        } = derived;
        let deploy = plans
            .deploy
            .to_json()
            .map_err(planner::PlannerError::from)?;
        atomic::write_file(&self.path.join(DEPLOY_PLAN), &deploy, true)?;
        document::write(&self.path.join(TRAIN_PLAN), &plans.train)?;
        self.record.host_memory_gib = host_memory_gib;
        self.record.plan = Some(PlanRecord {
            inputs,
            data_stats,
            deploy_plan: digest::sha256(&deploy),
            train_plan: self.digest(TRAIN_PLAN).unwrap_or_default(),
        });
        self.write_record()?;
        Ok((Made::Now, plans))
    }

    /// Decisions of the plans with their reasons, without writing anything; none where the plans are absent or were made
    /// from something else.
    ///
    /// **Errors**: [`WorkError`].
    pub fn decisions(&self) -> Result<Option<Vec<Decision>>, WorkError> {
        if !self.is_planned() {
            return Ok(None);
        }
        let derived = self.derive_plans()?;
        Ok(self.is_current(&derived).then_some(derived.plans.reasons))
    }

    fn is_current(&self, derived: &Derived) -> bool {
        self.record.plan.as_ref().is_some_and(|done| {
            done.inputs == derived.inputs
                && self.digest(DEPLOY_PLAN).as_ref() == Some(&done.deploy_plan)
                && self.digest(TRAIN_PLAN).as_ref() == Some(&done.train_plan)
        })
    }

    fn derive_plans(&self) -> Result<Derived, WorkError> {
        let missing = WorkError::StageMissing {
            missing: DATA_STATS,
            command: "vesal-train analyze",
        };
        let path = self.path.join(DATA_STATS);
        if !path.exists() {
            return Err(missing);
        }
        let bytes = read(&path)?;
        let data_stats = digest::sha256(&bytes);
        let value: serde_yaml_ng::Value = parse_stats(path.clone(), &bytes)?;
        let summary = &value["stats_summary"];
        if summary.get("image_stats").is_some() && summary.get("label_stats").is_none() {
            return Err(WorkError::NoLabels);
        }
        let stats: DataStats =
            serde_yaml_ng::from_value(value).map_err(|source| WorkError::Yaml {
                path,
                source: source.into(),
            })?;
        let overrides = self.record.settings.over(&self.task.overrides);
        let input = PlannerInput {
            name: &self.task.name,
            modality: self.task.modality,
            extra_modalities: &self.task.extra_modalities,
            classes: &self.task.classes,
            dicom: &self.task.dicom,
            overrides: &overrides,
        };
        // What this machine has when the first plan is made counts for all later ones: they are the same on another.
        let detected = || Some(cases_budget()? as f64 / GIB);
        let host_memory_gib = self.record.host_memory_gib.or_else(detected);
        let budget = Budget {
            host_memory_gib,
            ..self.record.budget()
        };
        let plans = (algorithms::DEFAULT.plan)(&stats.stats_summary, &input, &budget)?;
        let mut inputs = json!([
            PLANNER_VERSION,
            data_stats,
            input.name,
            input.modality,
            input.extra_modalities,
            input.classes,
            overrides,
            budget.device_memory_gib,
            budget.host_memory_gib
        ]);
        // A task without it keeps the digest that plans were made with before there was such a key.
        if let (false, Some(inputs)) = (input.dicom.is_empty(), inputs.as_array_mut()) {
            inputs.push(json!(input.dicom));
        }
        Ok(Derived {
            plans,
            inputs: fingerprint(&inputs),
            data_stats,
            host_memory_gib,
        })
    }

    /// What to train for a fold, with the [default](cases_budget) memory for cases.
    ///
    /// **Errors**: [`WorkError`] for a fold that is not to be trained, for plans that are absent, and for plans or data
    /// stats that are not those of the planning.
    pub fn fit_request(
        &self,
        fold: usize,
        devices: TrainDevices,
        stop: Arc<AtomicBool>,
    ) -> Result<FitRequest, WorkError> {
        if !self.record.folds.contains(&fold) {
            return Err(WorkError::NoSuchFold {
                found: fold,
                folds: self.record.folds.clone(),
            });
        }
        let missing = || WorkError::StageMissing {
            missing: DEPLOY_PLAN,
            command: "vesal-train plan",
        };
        let plan = self.record.plan.as_ref().ok_or_else(missing)?;
        for (file, expected) in [
            (DATA_STATS, &plan.data_stats),
            (DEPLOY_PLAN, &plan.deploy_plan),
            (TRAIN_PLAN, &plan.train_plan),
        ] {
            if digest::sha256(&read(&self.path.join(file))?) != *expected {
                return Err(WorkError::Changed { file });
            }
        }
        if !self.dataroot.is_dir() {
            return Err(WorkError::NoDataroot {
                path: self.dataroot.clone(),
            });
        }
        Ok(FitRequest {
            run_dir: self.run_dir(fold),
            fold,
            cases: self
                .usable_cases()
                .filter_map(|case| self.training_case(case))
                .collect(),
            deploy_plan_path: self.path.join(DEPLOY_PLAN),
            train_plan_path: self.path.join(TRAIN_PLAN),
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

    /// Digest of what the data stats depend on. Sizes of files stand for their content.
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
