//! Classes and patch of a network.

use vesal_bundle::deploy_plan::{self, Activation};
use vesal_network::NetworkConfig;

use super::decision::{Decisions, Group};
use super::{PlannerError, PlannerInput};
use crate::analyze::stats::StatsSummary;
use crate::settings::{Overrides, registry};

/// Number of output channels of the network.
pub(crate) fn output_classes(
    stats: &StatsSummary,
    input: &PlannerInput<'_>,
    decisions: &mut Decisions,
) -> usize {
    decisions.group = Group::Network;
    let classes = decisions.ruled(
        "output_classes",
        input.classes.outputs(),
        "background and every class of the task, or every region where classes overlap",
        format!(
            "{} class names; labels {:?} occur",
            input.classes.names().len(),
            stats.label_stats.labels
        ),
    );
    decisions.ruled(
        "sigmoid",
        input.classes.activation() == Activation::Sigmoid,
        "yes where classes overlap: each is a region by itself",
        "`class_names` of the task",
    );
    classes
}

/// Decides the patch: the rule's, with at most 1024 voxels along a side and a multiple of the network's stride, or the
/// user's.
///
/// **Errors**: [`PlannerError::RoiSize`], [`PlannerError::Window`] for a patch of the user that the network cannot process.
pub(crate) fn roi_size(
    ruled: [usize; 3],
    rule: &'static str,
    network: &NetworkConfig,
    overrides: &Overrides,
    decisions: &mut Decisions,
    because: String,
) -> Result<[usize; 3], PlannerError> {
    decisions.group = Group::Patches;
    let factor = network.shape_factor();
    let multiples = |roi: [usize; 3], round: fn(usize, usize) -> usize| {
        std::array::from_fn(|axis| factor[axis] * round(roi[axis], factor[axis]).max(1))
    };
    let longest = deploy_plan::MAX_WINDOW_SIDE;
    let ruled = multiples(ruled.map(|side| side.min(longest)), |side, factor| {
        side / factor
    });
    let name = registry::ROI_SIZE.name;
    let found = decisions.take(name, overrides.roi_size, ruled, rule, because);
    if (0..3).all(|axis| found[axis].is_multiple_of(factor[axis])) {
        network.check_window(found)?;
        return Ok(found);
    }
    let below = multiples(found, |side, factor| side / factor);
    Err(PlannerError::RoiSize {
        found,
        factor,
        below,
        above: multiples(found, usize::div_ceil),
    })
}
