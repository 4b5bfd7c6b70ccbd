//! The rules of Auto3DSeg's SegResNet for the grid that the network sees images on.

use crate::analyze::stats::StatsSummary;
use crate::planner::decision::{Decisions, Group, numbers};
use crate::settings::{Overrides, ResampleMode, registry};

/// The grid of the images that the network sees.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Grid {
    /// Spacing in mm.
    pub(crate) spacing: [f64; 3],
    /// Whether the spacing is anisotropic.
    pub(crate) anisotropic: bool,
    /// Whether images are resampled to the spacing.
    pub(crate) resample: bool,
}

/// A spacing in mm, and the rule that gives it.
pub(crate) type RuledSpacing = ([f64; 3], &'static str);

/// SegResNet's spacing by `resample_mode` auto.
pub(crate) fn auto_spacing(stats: &StatsSummary) -> RuledSpacing {
    let found = &stats.image_stats.spacing;
    let [x, y, _] = found.median;
    (
        [x, y, (0.5 * (x + y)).max(found.percentile_10_0[2])],
        "median in x and y; in z the 10th percentile, at least the mean of x and y",
    )
}

/// Decides the spacing; `auto` gives it where no other mode is set.
pub(crate) fn spacing(
    stats: &StatsSummary,
    auto: RuledSpacing,
    overrides: &Overrides,
    decisions: &mut Decisions,
) -> [f64; 3] {
    decisions.group = Group::Grid;
    let found = &stats.image_stats.spacing;
    let mode = decisions.by_default(&registry::RESAMPLE_MODE, overrides.resample_mode);
    let [x, y, z] = found.median;
    let z_10 = found.percentile_10_0[2];
    let (ruled, rule) = match mode {
        ResampleMode::Auto => auto,
        ResampleMode::Median => ([x, y, z], "median"),
        ResampleMode::Median10 => ([x, y, z_10], "median in x and y; in z the 10th percentile"),
        ResampleMode::Ones => ([1.0; 3], "1 mm"),
    };
    decisions.take(
        registry::RESAMPLE_RESOLUTION.name,
        overrides.resample_resolution,
        ruled,
        rule,
        format!(
            "spacing has the median {} and the 10th percentile {} mm",
            numbers(&found.median),
            numbers(&found.percentile_10_0)
        ),
    )
}

/// Decides the spacing, and whether images are resampled to it.
pub(crate) fn grid(stats: &StatsSummary, overrides: &Overrides, decisions: &mut Decisions) -> Grid {
    let spacing = spacing(stats, auto_spacing(stats), overrides, decisions);
    let found = &stats.image_stats.spacing;
    let ratio = 0.5 * (spacing[0] + spacing[1]) / spacing[2];
    let anisotropic = decisions.ruled(
        "anisotropic_scales",
        !(0.75..=1.25).contains(&ratio),
        "yes where the mean of x and y over z is not from 0.75 to 1.25",
        format!("it is {ratio:.3}"),
    );
    let (low, high) = (found.percentile_00_5, found.percentile_99_5);
    let far =
        (0..3).any(|axis| low[axis] / spacing[axis] < 0.5 || high[axis] / spacing[axis] > 1.5);
    let resample = decisions.by_rule(
        &registry::RESAMPLE,
        overrides.resample,
        far,
        format!(
            "spacing has the percentiles 0.5: {} and 99.5: {} mm",
            numbers(&low),
            numbers(&high)
        ),
    );
    Grid {
        spacing,
        anisotropic,
        resample,
    }
}
