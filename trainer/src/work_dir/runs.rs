//! The runs of a work directory.

use std::path::PathBuf;

use vesal_bundle::work_dir::RunId;
use vesal_files::document;

use super::WorkDir;
use crate::algorithms::Algorithm;
use crate::fit::{self, Extent, FitError, RunScores, RunStatus};
use crate::train_plan::TrainPlan;

impl WorkDir {
    /// All runs of the [reported algorithms](Self::algorithms), by algorithm and fold.
    pub fn runs(&self) -> Vec<RunId> {
        self.runs_of(&self.algorithms(), &self.record.folds)
    }

    /// Runs of these algorithms, one for each of these folds.
    pub fn runs_of(&self, algorithms: &[&'static Algorithm], folds: &[usize]) -> Vec<RunId> {
        let of_algorithm = |algorithm: &&'static Algorithm| {
            let name = algorithm.name;
            folds.iter().map(move |&fold| RunId::new(name, fold))
        };
        algorithms.iter().flat_map(of_algorithm).collect()
    }

    pub fn run_dir(&self, run: &RunId) -> PathBuf {
        self.path.join(run.to_string())
    }

    /// Scores of the best weights of those runs that have any, by held-out case.
    ///
    /// **Errors**: weights that cannot be read.
    pub fn scores(&self, runs: &[RunId]) -> Result<Vec<RunScores>, FitError> {
        let mut found = Vec::with_capacity(runs.len());
        for run in runs {
            if let Some(scores) = fit::scores(&self.run_dir(run))? {
                let run = run.clone();
                found.push(RunScores { run, scores });
            }
        }
        Ok(found)
    }

    /// Progress of a run; `None` if it was not started.
    pub fn run_status(&self, run: &RunId) -> Option<RunStatus> {
        fit::status(&self.run_dir(run), self.extent(run).as_ref())
    }

    /// Planned length of a run; `None` without a plan.
    fn extent(&self, run: &RunId) -> Option<Extent> {
        let (_, paths) = self.plan_record(&run.algorithm)?;
        let plan: TrainPlan = document::read(&self.path.join(paths.train)).ok()?;
        let fold = run.fold;
        let trained = self
            .usable_cases()
            .filter(|case| case.fold.is_some_and(|own| own != fold));
        Extent::new(&plan, trained.count(), fold).ok()
    }
}
