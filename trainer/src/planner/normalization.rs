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

/// Decides one normalization per channel.
pub(crate) fn normalizations(
    stats: &StatsSummary,
    input: &PlannerInput<'_>,
    decisions: &mut Decisions,
) -> Result<Vec<Normalization>, PlannerError> {
    decisions.group = Group::Intensities;
    let (ruled, modality) = mode_of(input.modality);
    let mode = decisions.by_rule(
        &registry::NORMALIZE_MODE,
        input.overrides.normalize_mode,
        ruled,
        format!("the modality is {modality}"),
    );
    let foreground = &stats.image_foreground_stats.intensity_by_channel;
    let mut channels = Vec::with_capacity(foreground.len() + input.extra_modalities.len());
    for (channel, stats) in foreground.iter().enumerate() {
        let ruled = [stats.percentile_00_5, stats.percentile_99_5];
        let rule = registry::INTENSITY_BOUNDS.rule;
        channels.push(normalize_as(mode, channel, ruled, rule, input, decisions)?);
    }
    for (key, modality) in input.extra_modalities {
        let (ruled, modality) = mode_of(*modality);
        let mode = decisions.ruled(
            "extra_modalities",
            ruled,
            "range for CT, meanstd for MR, pet for PET",
            format!("`{key}` is {modality}"),
        );
        let rule = "soft tissue in HU: labels lie on the grid of the first image";
        let channel = channels.len();
        channels.push(normalize_as(
            mode,
            channel,
            SOFT_TISSUE_HU,
            rule,
            input,
            decisions,
        )?);
    }
    Ok(channels)
}

/// Normalization of a modality, and its name in Auto3DSeg.
fn mode_of(modality: Modality) -> (NormalizeMode, &'static str) {
    match modality {
        Modality::Ct => (NormalizeMode::Range, "ct"),
        Modality::Mri => (NormalizeMode::Meanstd, "mri"),
        Modality::Pet => (NormalizeMode::Pet, "pet"),
    }
}

/// The normalization of one channel; `bounds` are needed by mode `range` alone.
fn normalize_as(
    mode: NormalizeMode,
    channel: usize,
    ruled: [f64; 2],
    rule: &'static str,
    input: &PlannerInput<'_>,
    decisions: &mut Decisions,
) -> Result<Normalization, PlannerError> {
    match mode {
        NormalizeMode::Meanstd => return Ok(Normalization::ZScoreNonzero),
        NormalizeMode::Meanstdtanh => return Ok(Normalization::ZScoreNonzeroTanh),
        NormalizeMode::Pet => return Ok(Normalization::SigmoidDeviation),
        NormalizeMode::None => return Ok(Normalization::Identity),
        NormalizeMode::Range => {}
    }
    let [low, high] = decisions.take(
        registry::INTENSITY_BOUNDS.name,
        input.overrides.intensity_bounds,
        ruled,
        rule,
        format!("channel {channel}"),
    );
    let as_stored = (low as f32, high as f32);
    if as_stored.0 < as_stored.1 {
        Ok(Normalization::SigmoidRange {
            low: as_stored.0,
            high: as_stored.1,
        })
    } else {
        Err(PlannerError::IntensityBounds { channel, low, high })
    }
}
