//! Memory of the host that the training of a fold takes.

use vesal_bundle::DeployPlan;
use vesal_files::document;

use super::files::read;
use super::{WorkDir, WorkError};
use crate::algorithms::Algorithm;
use crate::memory::{CaseSize, CasesMemory, StepMemory};
use crate::planner::PlannerError;
use crate::precision::Precision;
use crate::train_plan::TrainPlan;

impl WorkDir {
    /// Upper estimate of the bytes that the training of a fold by an algorithm takes on the processor: its cases, and a
    /// step's tensors.
    ///
    /// **Errors**: [`WorkError`] for plans that cannot be read.
    pub fn fold_bytes(&self, algorithm: &Algorithm) -> Result<u64, WorkError> {
        let [deploy_path, train_path] = self.checked_plans(algorithm.name)?;
        let plan: TrainPlan = document::read(&train_path)?;
        let deploy = DeployPlan::from_json(&read(&deploy_path)?).map_err(PlannerError::from)?;
        let sizes = CaseSize::of(&self.training_cases(), &deploy);
        let folds = self.record.folds.iter();
        let cases = folds.map(|&fold| CasesMemory::new(&sizes, fold, &deploy).within(None));
        let patches = plan.num_images_per_batch * plan.num_crops_per_image;
        let step = StepMemory::new(
            &plan.network,
            plan.roi_size,
            patches,
            Precision::Single,
            algorithm.recipe.optimizer.moments(),
        );
        Ok(cases.max().unwrap_or(0) + step.on_host())
    }
}
