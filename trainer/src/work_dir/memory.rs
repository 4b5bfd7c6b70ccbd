//! How much memory of the host the training of a fold takes.

use vesal_bundle::DeployPlan;
use vesal_files::document;
use vesal_volume::preprocess::Step;

use super::{DATA_STATS, WorkDir, WorkError, parse_stats, read};
use crate::algorithms::Algorithm;
use crate::analyze::stats::{DataStats, StatsSummary};
use crate::memory::StepMemory;
use crate::precision::Precision;
use crate::train_plan::TrainPlan;

impl WorkDir {
    /// Estimates the bytes that the training of a fold by an algorithm takes where the processor computes: its cases, and a step's
    /// activations.
    ///
    /// **Errors**: [`WorkError`] for plans or data stats that cannot be read.
    pub fn fold_bytes(&self, algorithm: &Algorithm) -> Result<f64, WorkError> {
        let [deploy_path, train_path] = self.checked_plans(algorithm.name)?;
        let path = self.path.join(DATA_STATS);
        let bytes = read(&path)?;
        let stats: DataStats = parse_stats(path, &bytes)?;
        let plan: TrainPlan = document::read(&train_path)?;
        let deploy = DeployPlan::from_json(&read(&deploy_path)?)
            .map_err(crate::planner::PlannerError::from)?;
        Ok(cases_bytes(&stats.stats_summary, &deploy) + step_bytes(&plan) as f64)
    }
}

/// Preprocessed cases: intensities and classes of the 90th percentile of sizes.
fn cases_bytes(stats: &StatsSummary, deploy: &DeployPlan) -> f64 {
    let resampled = deploy.preprocessing.iter().find_map(|step| match step {
        Step::Resample { spacing, .. } => Some(*spacing),
        _ => None,
    });
    let image = &stats.image_stats;
    let spacing = resampled.unwrap_or(image.spacing.median);
    let voxels: f64 = (0..3)
        .map(|axis| image.sizemm.percentile_90_0[axis] / spacing[axis])
        .product();
    stats.n_cases as f64 * voxels * (4 * deploy.channels.len() + 2) as f64
}

fn step_bytes(plan: &TrainPlan) -> u64 {
    let patches = plan.num_images_per_batch * plan.num_crops_per_image;
    StepMemory::new(&plan.network, plan.roi_size, patches, Precision::Single).on_host()
}
