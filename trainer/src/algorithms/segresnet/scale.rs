//! Autoscaling to the device's memory, with the user's flags and Auto3DSeg's defaults.

use super::autoscale::{Autoscale, BasePatch, Scaling, autoscale};
use super::grid::Grid;
use crate::analyze::stats::StatsSummary;
use crate::planner::Budget;
use crate::planner::decision::{Decisions, Group, numbers};
use crate::settings::{Overrides, registry};

/// Network and patches at both autoscalings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scaled {
    /// Scaled by the flags that the user set alone; the number of levels and the crop mode follow from it.
    pub(crate) base: Autoscale,
    pub(crate) trained: Autoscale,
    /// Whether autoscaling is allowed (`auto_scale_allowed`); then the patches of a step are distributed to cases and
    /// crops.
    pub(crate) allowed: bool,
}

/// Scales network and patches twice, as Auto3DSeg does. The first scaling is that of its configuration, by the flags
/// that are set; the second is that of its training, by the flags with their defaults and the levels of the
/// configuration.
pub(crate) fn scale(
    stats: &StatsSummary,
    grid: &Grid,
    classes: usize,
    base_patch: BasePatch,
    budget: &Budget,
    overrides: &Overrides,
    decisions: &mut Decisions,
) -> Scaled {
    decisions.group = Group::Patches;
    let memory_gib = budget.recorded(decisions);
    let allowed = decisions.by_default(&registry::AUTO_SCALE_ALLOWED, overrides.auto_scale_allowed);
    let batch = decisions.by_default(&registry::AUTO_SCALE_BATCH, overrides.auto_scale_batch);
    let roi = decisions.by_default(&registry::AUTO_SCALE_ROI, overrides.auto_scale_roi);
    let filters = decisions.by_default(&registry::AUTO_SCALE_FILTERS, overrides.auto_scale_filters);
    let median_mm = stats.image_stats.sizemm.median;
    let scaled_by =
        |scaling: Scaling| autoscale(median_mm, grid.spacing, grid.anisotropic, classes, &scaling);
    let base = scaled_by(Scaling {
        base: base_patch,
        memory_gib,
        batch: overrides.auto_scale_batch.unwrap_or(false),
        roi: overrides.auto_scale_roi.unwrap_or(false),
        filters: overrides.auto_scale_filters.unwrap_or(false),
        levels: None,
    });
    let scaling = Scaling {
        base: base_patch,
        memory_gib,
        batch,
        roi,
        filters,
        levels: Some(overrides.blocks_down.as_ref().map_or(base.levels, Vec::len)),
    };
    let mut trained = base;
    if allowed && scaling.any() {
        let grown = scaled_by(scaling);
        trained.roi = grown.roi;
        if batch {
            trained.batch = grown.batch;
        }
        if filters {
            trained.init_filters = grown.init_filters;
        }
    }
    Scaled {
        base,
        trained,
        allowed,
    }
}

/// The facts that the patch follows from, in words.
pub(crate) fn because(
    stats: &StatsSummary,
    grid: &Grid,
    classes: usize,
    factor: [usize; 3],
) -> String {
    let median_mm = stats.image_stats.sizemm.median;
    let image: [f64; 3] =
        std::array::from_fn(|axis| (median_mm[axis] / grid.spacing[axis]).floor());
    format!(
        "the median image has {} voxels; {classes} classes; the network halves by {factor:?}",
        numbers(&image)
    )
}
