//! SegResNetDS in two dimensions, planned and trained as by Auto3DSeg's segresnet2d: for volumes whose planes lie far
//! apart.

mod augmentation;

use vesal_network::{NetworkConfig, SegResNet2dConfig};

use super::algorithm::{Algorithm, NetworkSize};
use super::recipe::{Loss, Recipe};
use super::segresnet::autoscale::{BasePatch, INIT_FILTERS};
use super::segresnet::grid::{self, Grid};
use super::segresnet::{SEGRESNET, complete, rules, scale};
use crate::analyze::stats::StatsSummary;
use crate::planner::decision::{Decisions, Group, numbers};
use crate::planner::{
    Budget, IntensityRules, PlannerError, PlannerInput, PlannerOutput, normalizations,
    output_classes, roi_size,
};
use crate::settings::{Overrides, registry};

/// Fraction that neighboring windows share; planes are predicted independently.
const OVERLAP: [f64; 3] = [0.625, 0.625, 0.0];
/// Least ratio of the distance of planes to the spacing within them.
const FAR_APART: f64 = 3.0;
/// Number of resolutions at which the loss is computed: the finest two.
const DSDEPTH: usize = 2;
/// Axes along which patches are mirrored.
const MIRRORED: &[usize] = &[0, 1];
const MIRRORED_RULE: &str = "the axes of a plane, unless augment_mode is none";
const ROI_PLANNED: &str = "grown to 384×384×32 voxels within the median image, then a multiple of what as many levels \
                           would halve along every axis; levels and crop mode follow from it";
const ROI_SIZE: &str =
    "roi_planned, scaled again with the memory for the levels that the network has";
const BASE: BasePatch = BasePatch {
    sides: [384.0, 384.0, 32.0],
    gib_beside_classes: 12.0,
};

pub static SEGRESNET2D: Algorithm = Algorithm {
    name: "segresnet2d",
    skip,
    plan,
    network: network_of_size,
    recipe: Recipe {
        loss: Loss::DiceCe { batch: true },
        centers_outside_regions: false,
        augment: augmentation::augment,
        ..SEGRESNET.recipe
    },
};

/// **Source**: Auto3DSeg segresnet2d, `pre_check_skip_algo`.
fn skip(stats: &StatsSummary) -> Option<String> {
    let [x, y, z] = stats.image_stats.spacing.median;
    let far = FAR_APART * (x + y) / 2.0;
    (z < far).then(|| {
        format!(
            "the median spacing is {} mm: planes are less than {FAR_APART} times as far apart as voxels within them",
            numbers(&[x, y, z])
        )
    })
}

/// **Definition**: the rules of Auto3DSeg's SegResNet, with those of segresnet2d where they differ; each is stated in
/// the `rule` of its [`Decision`](crate::planner::Decision). Planes are perpendicular to the third axis in RAS, as in
/// the skip rule; Auto3DSeg uses the third stored axis instead.
fn plan(
    stats: &StatsSummary,
    input: &PlannerInput<'_>,
    budget: &Budget,
) -> Result<PlannerOutput, PlannerError> {
    let mut decisions = Decisions::default();
    let overrides = input.overrides;
    let grid = stored_grid(stats, overrides, &mut decisions);
    let classes = output_classes(stats, input, &mut decisions);
    let scaled = scale::scale(
        stats,
        &grid,
        classes,
        BASE,
        budget,
        overrides,
        &mut decisions,
    );
    let (init_filters, blocks_down) = rules::levels(&scaled, overrides, &mut decisions);
    let network: NetworkConfig = SegResNet2dConfig {
        in_channels: stats.image_stats.channels.max + input.extra_modalities.len(),
        out_channels: classes,
        init_filters,
        blocks_down,
        dsdepth: DSDEPTH,
    }
    .into();
    network.validate()?;
    decisions.group = Group::Patches;
    decisions.ruled(
        "roi_planned",
        scaled.base.roi,
        ROI_PLANNED,
        "what 16 GiB hold",
    );
    let because = scale::because(stats, &grid, classes, network.shape_factor());
    let roi = roi_size(
        scaled.trained.roi,
        ROI_SIZE,
        &network,
        overrides,
        &mut decisions,
        because,
    )?;
    let normalizations = normalizations(&IntensityRules::SEGRESNET, stats, input, &mut decisions)?;
    let given = rules::Given {
        algorithm: SEGRESNET2D.name,
        overrides,
        host_memory_gib: budget.host_memory_gib,
        mirrored: MIRRORED,
        mirrored_rule: MIRRORED_RULE,
    };
    let train = rules::training(stats, &scaled, &grid, network, roi, &given, &mut decisions);
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

/// Decides the spacing by SegResNet's rule. Only sizes follow from it: images are not resampled.
fn stored_grid(stats: &StatsSummary, overrides: &Overrides, decisions: &mut Decisions) -> Grid {
    decisions.group = Group::Grid;
    let spacing = grid::spacing(stats, grid::auto_spacing(stats), overrides, decisions);
    let because = match overrides.resample {
        Some(true) => "`resample`, as set by you, is not for this algorithm",
        _ => "planes were acquired far apart",
    };
    Grid {
        spacing,
        anisotropic: false,
        resample: decisions.ruled(
            registry::RESAMPLE.name,
            false,
            "no: planes stay as they were acquired",
            because,
        ),
    }
}

/// A network without a plan; one of fewer levels has fewer outputs.
fn network_of_size(size: &NetworkSize) -> NetworkConfig {
    let network = SegResNet2dConfig {
        in_channels: size.in_channels,
        out_channels: size.out_channels,
        init_filters: size.init_filters.unwrap_or(INIT_FILTERS),
        blocks_down: size.blocks_down.clone(),
        dsdepth: DSDEPTH.min(size.blocks_down.len()),
    };
    network.into()
}
