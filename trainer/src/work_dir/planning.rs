//! Planning: from data stats to the plans of all chosen algorithms.

use std::fs;
use std::path::PathBuf;

use serde_json::json;
use vesal_bundle::run_record::{self, RunRecord};
use vesal_bundle::work_dir::RunId;
use vesal_files::{atomic, digest, document};

use super::files::{DATA_STATS, parse_stats, read};
use super::plans::PlanPaths;
use super::record::PlanRecord;
use super::{Made, WorkDir, WorkError};
use crate::algorithms::{self, Algorithm};
use crate::analyze::stats::{DataStats, StatsSummary};
use crate::memory::{GIB, cases_budget};
use crate::planner::{
    Budget, Decision, PlannerError, PlannerInput, PlannerOutput, initial_weights,
};
use crate::settings::{Overrides, registry};

/// Version of the planner, increased when the same data stats give other plans.
const PLANNER_VERSION: u32 = 2;

#[derive(Debug)]
pub struct Planning {
    pub algorithm: &'static Algorithm,
    pub outcome: PlanOutcome,
}

#[derive(Debug)]
pub struct PlanReasons {
    pub algorithm: &'static Algorithm,
    /// `None` where the plans were made from other inputs than the present ones.
    pub decisions: Option<Vec<Decision>>,
}

#[derive(Debug)]
pub enum PlanOutcome {
    Planned {
        made: Made,
        plans: Box<PlannerOutput>,
    },
    /// The algorithm does not suit the cases.
    Skipped { reason: String },
}

/// Inputs of planning that all algorithms share.
struct Facts {
    stats: StatsSummary,
    data_stats: String,
    overrides: Overrides,
    budget: Budget,
}

/// Plans, and the digest of their inputs.
struct Derived {
    plans: PlannerOutput,
    inputs: String,
}

impl WorkDir {
    /// Plans all chosen algorithms from the data stats, except those whose plans are up to date, unless `again` is set.
    ///
    /// Plans that are up to date are returned as well.
    ///
    /// **Errors**: [`WorkError`]; [`WorkError::Skipped`] where all algorithms are skipped.
    pub fn plan(&mut self, again: bool) -> Result<Vec<Planning>, WorkError> {
        let facts = self.facts()?;
        let to_plan = self.to_plan(&facts)?;
        let mut plannings = Vec::with_capacity(to_plan.len());
        for (algorithm, reason) in to_plan {
            let outcome = match reason {
                Some(reason) => {
                    let name = algorithm.name.to_owned();
                    self.record.plans.remove(&name);
                    self.record.skipped.insert(name, reason.clone());
                    self.write_record()?;
                    PlanOutcome::Skipped { reason }
                }
                None => self.plan_for(algorithm, &facts, again)?,
            };
            plannings.push(Planning { algorithm, outcome });
        }
        Ok(plannings)
    }

    /// Derives the plans of every chosen algorithm without writing anything; nothing where there was no analysis.
    ///
    /// **Errors**: as [`plan`](Self::plan).
    pub(super) fn check_planning(&self) -> Result<(), WorkError> {
        let facts = match self.facts() {
            Err(WorkError::StageMissing { .. }) => return Ok(()),
            facts => facts?,
        };
        for (algorithm, reason) in self.to_plan(&facts)? {
            if reason.is_none() {
                self.derive_plans(algorithm, &facts)?;
            }
        }
        Ok(())
    }

    /// The chosen algorithms; those that are skipped with the reason.
    fn to_plan(
        &self,
        facts: &Facts,
    ) -> Result<Vec<(&'static Algorithm, Option<String>)>, WorkError> {
        let reasons = self.chosen.iter();
        let reasons: Vec<_> = reasons
            .map(|&algorithm| (algorithm, skip_reason(algorithm, facts)))
            .collect();
        if reasons.iter().any(|(_, reason)| reason.is_none()) {
            return Ok(reasons);
        }
        let skipped = reasons
            .into_iter()
            .filter_map(|(algorithm, reason)| Some((algorithm.name.to_owned(), reason?)));
        Err(WorkError::Skipped(skipped.collect()))
    }

    fn plan_for(
        &mut self,
        algorithm: &'static Algorithm,
        facts: &Facts,
        again: bool,
    ) -> Result<PlanOutcome, WorkError> {
        let Derived { plans, inputs } = self.derive_plans(algorithm, facts)?;
        let was_skipped = self.record.skipped.remove(algorithm.name).is_some();
        if !again && self.is_current(algorithm, &inputs) {
            if was_skipped {
                self.write_record()?;
            }
            let (made, plans) = (Made::Before, Box::new(plans));
            return Ok(PlanOutcome::Planned { made, plans });
        }
        let deploy = plans.deploy.to_json().map_err(PlannerError::from)?;
        let paths = PlanPaths::of(algorithm);
        let folder = self.path.join(algorithm.name);
        fs::create_dir_all(&folder).map_err(|source| WorkError::MakeDirectory {
            path: folder,
            source,
        })?;
        atomic::write_file(&self.path.join(&paths.deploy), &deploy, true)?;
        document::write(&self.path.join(&paths.train), &plans.train)?;
        self.record.host_memory_gib = facts.budget.host_memory_gib;
        let record = PlanRecord {
            inputs,
            data_stats: facts.data_stats.clone(),
            deploy_plan: digest::sha256(&deploy),
            train_plan: self.digest(&paths.train).unwrap_or_default(),
        };
        let name = algorithm.name.to_owned();
        self.record.plans.insert(name, record);
        let was_at_root = algorithm == algorithms::DEFAULT && self.record.plan.take().is_some();
        self.write_record()?;
        if was_at_root {
            self.remove_root_plans()?;
        }
        Ok(PlanOutcome::Planned {
            made: Made::Now,
            plans: Box::new(plans),
        })
    }

    /// Removes plans beside `work.json`. The deploy plan stays if the record of a finished run names it.
    fn remove_root_plans(&self) -> Result<(), WorkError> {
        let PlanPaths { deploy, train } = PlanPaths::at_root();
        let named = format!("../{deploy}");
        let sha256 = self.digest(&deploy);
        let is_named = self.record.folds.iter().any(|&fold| {
            let run = self.run_dir(&RunId::new(algorithms::DEFAULT.name, fold));
            RunRecord::read(&run.join(run_record::FILE_NAME)).is_ok_and(|record| {
                record.deploy_plan.path == named
                    && Some(&record.deploy_plan.sha256) == sha256.as_ref()
            })
        });
        let old = [Some(train), (!is_named).then_some(deploy)];
        for path in old.into_iter().flatten().map(|file| self.path.join(file)) {
            match fs::remove_file(&path) {
                Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                    return Err(WorkError::Remove { path, source });
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Decisions of each planned algorithm with their reasons; nothing is written.
    ///
    /// **Errors**: [`WorkError`].
    pub fn decisions(&self) -> Result<Vec<PlanReasons>, WorkError> {
        let planned: Vec<_> = self.planned().collect();
        if planned.is_empty() {
            return Ok(Vec::new());
        }
        let facts = self.facts()?;
        let decisions = planned.into_iter().map(|algorithm| {
            let Derived { plans, inputs } = self.derive_plans(algorithm, &facts)?;
            let current = self.is_current(algorithm, &inputs);
            Ok(PlanReasons {
                algorithm,
                decisions: current.then_some(plans.reasons),
            })
        });
        decisions.collect()
    }

    fn facts(&self) -> Result<Facts, WorkError> {
        let path = self.path.join(DATA_STATS);
        if !path.exists() {
            return Err(unanalyzed());
        }
        let bytes = read(&path)?;
        let stats = labeled_stats(path, &bytes)?;
        // The memory of this machine at the first planning is recorded, so that plans are the same on another machine.
        let detected = || Some(cases_budget()? as f64 / GIB);
        Ok(Facts {
            stats,
            data_stats: digest::sha256(&bytes),
            overrides: self.record.settings.over(&self.task.overrides),
            budget: Budget {
                host_memory_gib: self.record.host_memory_gib.or_else(detected),
                ..self.record.budget()
            },
        })
    }

    fn derive_plans(&self, algorithm: &Algorithm, facts: &Facts) -> Result<Derived, WorkError> {
        let Facts {
            stats,
            data_stats,
            overrides,
            budget,
        } = facts;
        let classes = self.classes.as_ref().ok_or_else(unanalyzed)?;
        let input = PlannerInput {
            name: &self.task.name,
            modality: self.task.modality,
            extra_modalities: &self.task.extra_modalities,
            classes,
            dicom: &self.task.dicom,
            overrides,
        };
        let mut plans = (algorithm.plan)(stats, &input, budget)?;
        initial_weights::decide(&mut plans, overrides)?;
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
        // Without the key, the digest equals that of plans that were made before it existed.
        if let (false, Some(inputs)) = (input.dicom.is_empty(), inputs.as_array_mut()) {
            inputs.push(json!(input.dicom));
        }
        if let (Some(weights), Some(inputs)) = (&plans.train.init_weights, inputs.as_array_mut()) {
            inputs.push(json!(weights.sha256));
        }
        Ok(Derived {
            plans,
            inputs: digest::sha256(inputs.to_string().as_bytes()),
        })
    }
}

fn unanalyzed() -> WorkError {
    WorkError::StageMissing {
        missing: DATA_STATS.to_owned(),
        command: "vesal-train analyze",
    }
}

/// The reason to skip an algorithm for these cases, unless the user disallows skipping.
fn skip_reason(algorithm: &Algorithm, facts: &Facts) -> Option<String> {
    let allowed = facts.overrides.allow_skip;
    match allowed.unwrap_or((registry::ALLOW_SKIP.default)()) {
        true => (algorithm.skip)(&facts.stats),
        false => None,
    }
}

fn labeled_stats(path: PathBuf, bytes: &[u8]) -> Result<StatsSummary, WorkError> {
    let value: serde_yaml_ng::Value = parse_stats(path.clone(), bytes)?;
    let summary = &value["stats_summary"];
    if summary.get("image_stats").is_some() && summary.get("label_stats").is_none() {
        return Err(WorkError::NoLabels);
    }
    let stats: DataStats = serde_yaml_ng::from_value(value).map_err(|source| WorkError::Yaml {
        path,
        source: source.into(),
    })?;
    Ok(stats.stats_summary)
}
