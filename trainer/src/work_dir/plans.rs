//! Algorithms of a work directory, and paths of their plans.

use std::path::PathBuf;

use vesal_files::digest;

use super::files::{DATA_STATS, DEPLOY_PLAN, TRAIN_PLAN, read};
use super::record::PlanRecord;
use super::{WorkDir, WorkError};
use crate::algorithms::{self, Algorithm};

/// Paths of an algorithm's plans, relative to the work directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PlanPaths {
    pub(super) deploy: String,
    pub(super) train: String,
}

impl PlanPaths {
    pub(super) fn of(algorithm: &Algorithm) -> Self {
        let within = |file| format!("{}/{file}", algorithm.name);
        Self {
            deploy: within(DEPLOY_PLAN),
            train: within(TRAIN_PLAN),
        }
    }

    /// Paths in directories that were made before there were several algorithms.
    pub(super) fn at_root() -> Self {
        Self {
            deploy: DEPLOY_PLAN.to_owned(),
            train: TRAIN_PLAN.to_owned(),
        }
    }
}

impl WorkDir {
    pub(super) fn planned(&self) -> impl Iterator<Item = &'static Algorithm> {
        let all = algorithms::all().iter().copied();
        all.filter(|algorithm| self.plan_record(algorithm.name).is_some())
    }

    pub fn is_planned(&self) -> bool {
        self.planned().next().is_some()
    }

    /// Algorithms to report: those that have plans or runs, and those that are chosen and not skipped.
    pub fn algorithms(&self) -> Vec<&'static Algorithm> {
        let all = algorithms::all().iter().copied();
        let is_listed = |algorithm: &&'static Algorithm| {
            let is_chosen = self.chosen.contains(algorithm);
            let is_skipped = self.record.skipped.contains_key(algorithm.name);
            let has_runs = || {
                let mut runs = self.runs_of(&[algorithm], &self.record.folds).into_iter();
                runs.any(|run| self.run_dir(&run).is_dir())
            };
            self.plan_record(algorithm.name).is_some() || (is_chosen && !is_skipped) || has_runs()
        };
        all.filter(is_listed).collect()
    }

    /// Algorithms to train: those that are chosen and not skipped.
    ///
    /// **Errors**: [`WorkError::Skipped`] where all are skipped.
    pub fn chosen(&self) -> Result<Vec<&'static Algorithm>, WorkError> {
        self.without_skipped(&self.chosen)
    }

    /// Those of these algorithms that the last planning did not skip.
    ///
    /// **Errors**: [`WorkError::Skipped`] where it skipped all.
    pub fn without_skipped(
        &self,
        algorithms: &[&'static Algorithm],
    ) -> Result<Vec<&'static Algorithm>, WorkError> {
        let skipped = &self.record.skipped;
        let mut left = algorithms.to_vec();
        left.retain(|algorithm| !skipped.contains_key(algorithm.name));
        match left.is_empty() {
            false => Ok(left),
            true => {
                let reasons = self.skipped_of(algorithms);
                let owned = reasons
                    .map(|(algorithm, reason)| (algorithm.name.to_owned(), reason.to_owned()));
                Err(WorkError::Skipped(owned.collect()))
            }
        }
    }

    /// Chosen algorithms that the last planning skipped, with the reason.
    pub fn skipped(&self) -> impl Iterator<Item = (&'static Algorithm, &str)> {
        self.skipped_of(&self.chosen)
    }

    /// Those of these algorithms that the last planning skipped, with the reason.
    pub fn skipped_of(
        &self,
        algorithms: &[&'static Algorithm],
    ) -> impl Iterator<Item = (&'static Algorithm, &str)> {
        algorithms.iter().filter_map(|&algorithm| {
            let reason = self.record.skipped.get(algorithm.name)?;
            Some((algorithm, reason.as_str()))
        })
    }

    /// Record of an algorithm's plans, and their paths.
    pub(super) fn plan_record(&self, algorithm: &str) -> Option<(&PlanRecord, PlanPaths)> {
        let algorithm = algorithms::find(algorithm).ok()?;
        match self.record.plans.get(algorithm.name) {
            Some(record) => Some((record, PlanPaths::of(algorithm))),
            None if algorithm == algorithms::DEFAULT => {
                Some((self.record.plan.as_ref()?, PlanPaths::at_root()))
            }
            None => None,
        }
    }

    pub(super) fn is_current(&self, algorithm: &Algorithm, inputs: &str) -> bool {
        self.plan_record(algorithm.name)
            .is_some_and(|(done, paths)| {
                done.inputs == inputs
                    && self.digest(&paths.deploy).as_ref() == Some(&done.deploy_plan)
                    && self.digest(&paths.train).as_ref() == Some(&done.train_plan)
            })
    }

    /// Absolute paths of the plans of a run: the deploy plan and the train plan.
    ///
    /// **Errors**: plans that are absent, and plans or data stats that changed since the planning;
    /// [`WorkError::Skipped`].
    pub(super) fn checked_plans(&self, algorithm: &str) -> Result<[PathBuf; 2], WorkError> {
        if let Some(reason) = self.record.skipped.get(algorithm) {
            let skipped = (algorithm.to_owned(), reason.clone());
            return Err(WorkError::Skipped([skipped].into()));
        }
        let Some((plan, paths)) = self.plan_record(algorithm) else {
            return Err(WorkError::StageMissing {
                missing: format!("{algorithm}/{DEPLOY_PLAN}"),
                command: "vesal-train plan",
            });
        };
        for (file, expected) in [
            (DATA_STATS, &plan.data_stats),
            (&paths.deploy, &plan.deploy_plan),
            (&paths.train, &plan.train_plan),
        ] {
            if digest::sha256(&read(&self.path.join(file))?) != *expected {
                let file = file.to_owned();
                return Err(WorkError::Changed { file });
            }
        }
        Ok([paths.deploy, paths.train].map(|file| self.path.join(file)))
    }

    /// Whether a folder of this name in a work directory is a run, or has the plans of an algorithm.
    pub fn is_own(name: &str) -> bool {
        Self::is_run(name) || algorithms::find(name).is_ok_and(|found| found.name == name)
    }

    /// Whether a folder of this name in a work directory is a run.
    pub fn is_run(name: &str) -> bool {
        algorithms::all().iter().any(|algorithm| {
            name.strip_prefix(algorithm.name)
                .is_some_and(|rest| rest.starts_with('_'))
        })
    }
}
