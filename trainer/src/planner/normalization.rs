//! Normalization of intensities.

use vesal_bundle::deploy_plan::Modality;
use vesal_volume::preprocess::Normalization;

use super::decision::{Decisions, Group};
use super::{PlannerError, PlannerInput};
use crate::analyze::stats::StatsSummary;
use crate::settings::{NormalizeMode, registry};

/// Bounds in HU of CT channels that no label occurs on.
///
/// **Source**: Auto3DSeg's SegResNet, where no bounds are known.
const SOFT_TISSUE_HU: [f64; 2] = [-250.0, 250.0];

/// How an algorithm normalizes intensities.
#[derive(Debug, Clone, Copy)]
pub(crate) struct IntensityRules {
    pub(crate) mode: fn(Modality) -> NormalizeMode,
    /// [`mode`](Self::mode) in words.
    pub(crate) mode_rule: &'static str,
    /// The normalization by mode `range`, from the lower and the upper end of the range.
    pub(crate) range: fn(f32, f32) -> Normalization,
}

impl IntensityRules {
    /// **Source**: Auto3DSeg's SegResNet.
    pub(crate) const SEGRESNET: Self = Self {
        mode: |modality| match modality {
            Modality::Ct => NormalizeMode::Range,
            Modality::Mri => NormalizeMode::Meanstd,
            Modality::Pet => NormalizeMode::Pet,
        },
        mode_rule: "range for CT, meanstd over the voxels that are not zero for MR, pet for PET",
        range: |low, high| Normalization::SigmoidRange { low, high },
    };
}

/// Decides one normalization per channel.
pub(crate) fn normalizations(
    rules: &IntensityRules,
    stats: &StatsSummary,
    input: &PlannerInput<'_>,
    decisions: &mut Decisions,
) -> Result<Vec<Normalization>, PlannerError> {
    decisions.group = Group::Intensities;
    let mode = decisions.take(
        registry::NORMALIZE_MODE.name,
        input.overrides.normalize_mode,
        (rules.mode)(input.modality),
        rules.mode_rule,
        format!("the modality is {}", name_of(input.modality)),
    );
    let foreground = &stats.image_foreground_stats.intensity_by_channel;
    let mut channels = Vec::with_capacity(foreground.len() + input.extra_modalities.len());
    for (channel, stats) in foreground.iter().enumerate() {
        let ruled = [stats.percentile_00_5, stats.percentile_99_5];
        let rule = registry::INTENSITY_BOUNDS.rule;
        channels.push(match without_range(mode) {
            Some(normalization) => normalization,
            None => in_range(rules, channel, (ruled, rule), input, decisions)?,
        });
    }
    for (key, modality) in input.extra_modalities {
        let mode = decisions.ruled(
            "extra_modalities",
            (rules.mode)(*modality),
            rules.mode_rule,
            format!("`{key}` is {}", name_of(*modality)),
        );
        let rule = "soft tissue in HU: labels lie on the grid of the first image";
        let channel = channels.len();
        channels.push(match without_range(mode) {
            Some(normalization) => normalization,
            None => in_range(rules, channel, (SOFT_TISSUE_HU, rule), input, decisions)?,
        });
    }
    Ok(channels)
}

/// Name of a modality in Auto3DSeg.
fn name_of(modality: Modality) -> &'static str {
    match modality {
        Modality::Ct => "ct",
        Modality::Mri => "mri",
        Modality::Pet => "pet",
    }
}

/// The normalization of a mode that needs no range.
fn without_range(mode: NormalizeMode) -> Option<Normalization> {
    match mode {
        NormalizeMode::Range => None,
        NormalizeMode::Meanstd => Some(Normalization::ZScoreNonzero),
        NormalizeMode::Meanstdtanh => Some(Normalization::ZScoreNonzeroTanh),
        NormalizeMode::Pet => Some(Normalization::SigmoidDeviation),
        NormalizeMode::None => Some(Normalization::Identity),
    }
}

/// The normalization of one channel by its range of intensities: that of a rule, or the user's.
fn in_range(
    rules: &IntensityRules,
    channel: usize,
    (ruled, rule): ([f64; 2], &'static str),
    input: &PlannerInput<'_>,
    decisions: &mut Decisions,
) -> Result<Normalization, PlannerError> {
    let [low, high] = decisions.take(
        registry::INTENSITY_BOUNDS.name,
        input.overrides.intensity_bounds,
        ruled,
        rule,
        format!("channel {channel}"),
    );
    let as_stored = (low as f32, high as f32);
    if as_stored.0 < as_stored.1 {
        Ok((rules.range)(as_stored.0, as_stored.1))
    } else {
        Err(PlannerError::IntensityBounds { channel, low, high })
    }
}
