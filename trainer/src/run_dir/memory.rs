//! How much memory of the host the training of a fold takes.

use vesal_bundle::DeployPlan;
use vesal_files::document;
use vesal_network::NetworkConfig;
use vesal_volume::preprocess::Step;

use super::{DATA_STATS, DEPLOY_PLAN, TRAIN_PLAN, WorkDir, WorkError, parse_stats, read};
use crate::analyze::stats::{DataStats, StatsSummary};
use crate::train_plan::TrainPlan;

/// Tensors of the first level's size that a step keeps on a processor, coarser levels and gradients included.
const STEP_TENSORS: f64 = 24.0;

impl WorkDir {
    /// Estimates the bytes that the training of a fold takes where the processor computes: its cases, and a step's
    /// activations.
    ///
    /// **Errors**: [`WorkError`] for plans or data stats that cannot be read.
    pub fn fold_bytes(&self) -> Result<f64, WorkError> {
        let path = self.path.join(DATA_STATS);
        let bytes = read(&path)?;
        let stats: DataStats = parse_stats(path, &bytes)?;
        let plan: TrainPlan = document::read(&self.path.join(TRAIN_PLAN))?;
        let deploy = DeployPlan::from_json(&read(&self.path.join(DEPLOY_PLAN))?)
            .map_err(crate::planner::PlannerError::from)?;
        Ok(cases_bytes(&stats.stats_summary, &deploy) + step_bytes(&plan))
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

fn step_bytes(plan: &TrainPlan) -> f64 {
    let NetworkConfig::SegresnetDs(network) = &plan.network;
    let patches = (plan.num_images_per_batch * plan.num_crops_per_image) as f64;
    let voxels: f64 = plan.roi_size.iter().map(|&side| side as f64).product();
    STEP_TENSORS * patches * voxels * network.init_filters as f64 * size_of::<f32>() as f64
}
