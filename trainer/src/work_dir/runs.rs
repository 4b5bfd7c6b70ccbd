//! The runs of a work directory.

use vesal_files::document;

use super::{TRAIN_PLAN, WorkDir};
use crate::fit::{self, Extent, RunStatus};
use crate::train_plan::TrainPlan;

impl WorkDir {
    /// How far the run of a fold is; `None` if it was not started.
    pub fn run_status(&self, fold: usize) -> Option<RunStatus> {
        fit::status(&self.run_dir(fold), self.extent(fold).as_ref())
    }

    /// How long the run of a fold is; `None` without a plan.
    fn extent(&self, fold: usize) -> Option<Extent> {
        let plan: TrainPlan = document::read(&self.path.join(TRAIN_PLAN)).ok()?;
        let trained = self
            .usable_cases()
            .filter(|case| case.fold.is_some_and(|own| own != fold));
        Extent::new(&plan, trained.count(), fold).ok()
    }
}
