//! Preprocessing of SegResNet.

use vesal_volume::preprocess::{Normalization, Step};

use super::grid::Grid;
use crate::planner::PlannerInput;

/// Voxels kept on each side of the bounding box of voxels above 0.
const FOREGROUND_MARGIN: usize = 10;
/// Ratios of spacing to target spacing between which an axis is not resampled.
const KEPT_SPACING: [f64; 2] = [0.75, 1.25];

/// The steps in order: orientation to RAS; crop, if all channels share one grid; resampling, if the grid asks for it;
/// resampling of secondary images onto the grid of the first; one normalization per channel.
pub(crate) fn steps(
    input: &PlannerInput<'_>,
    grid: &Grid,
    normalizations: Vec<Normalization>,
) -> Vec<Step> {
    let first_channels = normalizations.len() - input.extra_modalities.len();
    let one_grid = input.extra_modalities.is_empty();
    let crop = one_grid.then_some(Step::CropForeground {
        threshold: 0.0,
        margin: FOREGROUND_MARGIN,
    });
    let resample = grid.resample.then_some(Step::Resample {
        spacing: grid.spacing,
        keep: KEPT_SPACING,
    });
    let matching = (!one_grid).then_some(Step::ResampleToMatch { first_channels });
    let normalize = Step::Normalize {
        channels: normalizations,
    };
    std::iter::once(Step::OrientRas)
        .chain(crop)
        .chain(resample)
        .chain(matching)
        .chain([normalize])
        .collect()
}
