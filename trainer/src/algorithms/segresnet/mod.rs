//! SegResNetDS, planned and trained as by Auto3DSeg's segresnet.

pub(crate) mod augmentation;
pub(crate) mod autoscale;
pub(crate) mod grid;
pub(crate) mod preprocessing;
pub(crate) mod rules;
pub(crate) mod scale;

pub use autoscale::{Autoscale, BasePatch, Scaling, autoscale};

use vesal_network::NetworkConfig;
use vesal_volume::preprocess::Normalization;

use super::algorithm::Algorithm;
use super::recipe::{EarlyStopping, Loss, Optimizer, Recipe};
use crate::analyze::stats::StatsSummary;
use crate::planner::decision::Decisions;
use crate::planner::{
    Budget, IntensityRules, PlannerError, PlannerInput, PlannerOutput, deploy_plan, normalizations,
    output_classes, roi_size, step_memory,
};
use crate::schedule::{WARMUP_MULTIPLIER, validation_epochs, warmup_cosine};
use crate::settings::registry;
use crate::train_plan::TrainPlan;

/// Fraction that neighboring windows share.
const OVERLAP: [f64; 3] = [0.625; 3];

pub static SEGRESNET: Algorithm = Algorithm {
    name: "segresnet",
    skip: Algorithm::never_skipped,
    plan,
    network: rules::network_of_size,
    recipe: Recipe {
        loss: Loss::DiceCe { batch: false },
        optimizer: Optimizer::ADAMW,
        centers_outside_regions: true,
        mixed_cases: 1,
        augment: augmentation::augment,
        learning_rate_factor: |epoch, plan| {
            let (warmup, epochs) = (plan.num_warmup_epochs, plan.num_epochs);
            warmup_cosine(epoch, warmup, epochs, WARMUP_MULTIPLIER)
        },
        validations: |plan| {
            let (every, crops) = (plan.num_epochs_per_validation, plan.num_crops_per_image);
            validation_epochs(plan.num_epochs, every, crops)
        },
        early_stopping: EarlyStopping::Plateau,
    },
};

/// **Definition**: the rules of Auto3DSeg's SegResNet; each is stated in the `rule` of its
/// [`Decision`](crate::planner::Decision). A patch has at most 1024 voxels along a side.
fn plan(
    stats: &StatsSummary,
    input: &PlannerInput<'_>,
    budget: &Budget,
) -> Result<PlannerOutput, PlannerError> {
    let mut decisions = Decisions::default();
    let overrides = input.overrides;
    let grid = grid::grid(stats, overrides, &mut decisions);
    let classes = output_classes(stats, input, &mut decisions);
    let scaled = scale::scale(
        stats,
        &grid,
        classes,
        BasePatch::SEGRESNET,
        budget,
        overrides,
        &mut decisions,
    );
    let network: NetworkConfig = rules::network(
        stats.image_stats.channels.max + input.extra_modalities.len(),
        classes,
        &scaled,
        &grid,
        overrides,
        &mut decisions,
    )
    .into();
    network.validate()?;
    let because = scale::because(stats, &grid, classes, network.shape_factor());
    let roi = roi_size(
        scaled.trained.roi,
        registry::ROI_SIZE.rule,
        &network,
        overrides,
        &mut decisions,
        because,
    )?;
    let normalizations = normalizations(&IntensityRules::SEGRESNET, stats, input, &mut decisions)?;
    let train = rules::training(
        stats,
        &scaled,
        &grid,
        network,
        roi,
        &rules::Given {
            algorithm: SEGRESNET.name,
            overrides,
            host_memory_gib: budget.host_memory_gib,
            mirrored: &[0, 1, 2],
            mirrored_rule: registry::AUGMENT_FLIPS.rule,
        },
        &mut decisions,
    );
    complete(
        train,
        &grid,
        normalizations,
        OVERLAP,
        input,
        budget,
        decisions,
    )
}

/// Adds the deploy plan and the reasons to a train plan; neighboring windows share the fraction `overlap` along each
/// axis.
///
/// **Errors**: [`PlannerError`] where settings of the training or the deploy plan break a rule.
pub(crate) fn complete(
    train: TrainPlan,
    grid: &grid::Grid,
    normalizations: Vec<Normalization>,
    overlap: [f64; 3],
    input: &PlannerInput<'_>,
    budget: &Budget,
    mut decisions: Decisions,
) -> Result<PlannerOutput, PlannerError> {
    train.check_controls()?;
    step_memory(&train, Optimizer::ADAMW.moments(), budget, &mut decisions);
    let channels = normalizations.len();
    let steps = preprocessing::steps(input, grid, normalizations);
    Ok(PlannerOutput {
        deploy: deploy_plan(input, channels, steps, train.roi_size, overlap)?,
        train,
        reasons: decisions.taken,
    })
}
