//! The preprocessing of an imported network.

use vesal_bundle::deploy_plan::Modality;
use vesal_network::NetworkConfig;
use vesal_volume::preprocess::{Normalization, Step};

use super::overrides::ImportOverrides;
use super::planning_error::PlanningError;
use super::settings::{InferenceSettings, NormalizeMode};
use super::template::{KEPT_SPACINGS, NO_KEPT_SPACINGS, Template, uniform_steps};

/// Voxels kept around the foreground by Auto3DSeg's segresnet.
const MARGIN: usize = 10;

/// The steps for images of this modality: as stated, else as in the template of the network's family.
///
/// **Source**: Auto3DSeg's templates.
pub(super) fn steps(
    settings: &InferenceSettings,
    flags: &ImportOverrides,
    network: &NetworkConfig,
    modality: Modality,
) -> Result<Vec<Step>, PlanningError> {
    let template = Template::of(network);
    match &settings.steps {
        Some(steps) => overridden(steps.clone(), flags),
        None if template.is_uniform() => uniform(settings, flags, network, modality),
        None => segresnet(settings, flags, network, modality),
    }
}

/// Stated steps with the user's spacing and range of intensities.
fn overridden(mut steps: Vec<Step>, flags: &ImportOverrides) -> Result<Vec<Step>, PlanningError> {
    let (mut spacing, mut bounds) = (flags.spacing, flags.bounds);
    for step in &mut steps {
        match step {
            Step::Resample { spacing: found, .. } => *found = spacing.take().unwrap_or(*found),
            Step::Normalize { channels } => {
                for channel in channels {
                    if let (Normalization::ClippedRange { low, high }, Some(given)) =
                        (channel, flags.bounds)
                    {
                        [*low, *high] = given;
                        bounds = None;
                    }
                }
            }
            _ => {}
        }
    }
    match (spacing, bounds) {
        (None, None) => Ok(steps),
        (Some(_), _) => Err(PlanningError::UnusedSpacing),
        (None, Some(_)) => Err(PlanningError::UnusedBounds),
    }
}

/// Preprocessing of Auto3DSeg's swinunetr and dints.
fn uniform(
    settings: &InferenceSettings,
    flags: &ImportOverrides,
    network: &NetworkConfig,
    modality: Modality,
) -> Result<Vec<Step>, PlanningError> {
    let template = Template::of(network).name();
    let foreign = [
        ("extra_modalities", !settings.extra_modalities.is_empty()),
        ("normalize_mode", settings.normalize_mode.is_some()),
        ("resample", settings.resample == Some(false)),
        ("orientation_ras", settings.orientation_ras == Some(false)),
        ("crop_foreground", settings.crop_foreground == Some(false)),
    ];
    if let Some((field, _)) = foreign.into_iter().find(|(_, stated)| *stated) {
        return Err(PlanningError::Setting { field, template });
    }
    if flags.bounds.is_some() && modality != Modality::Ct {
        return Err(PlanningError::UnusedBounds);
    }
    let spacing = flags.spacing.or(settings.resample_resolution);
    let spacing = spacing.ok_or(PlanningError::NoTemplateSpacing { template })?;
    let bounds = flags.bounds.or(settings.intensity_bounds);
    uniform_steps(modality, bounds, network.in_channels(), spacing).ok_or(PlanningError::NoBounds)
}

/// Preprocessing of Auto3DSeg's segresnet and segresnet2d: orientation, which the latter keeps, foreground crop, resampling,
/// normalization, in this order.
fn segresnet(
    settings: &InferenceSettings,
    flags: &ImportOverrides,
    network: &NetworkConfig,
    modality: Modality,
) -> Result<Vec<Step>, PlanningError> {
    let extra = &settings.extra_modalities;
    let first_channels = network.in_channels().saturating_sub(extra.len());
    let normalization = normalization(settings, flags, modality)?;
    let mut normalizations = vec![normalization; first_channels];
    for (_, mode) in extra {
        normalizations.push(normalize_as(*mode, settings, flags)?);
    }

    let mut preprocessing = Vec::new();
    // Auto3DSeg's segresnet2d keeps the stored axes, whatever its configuration says.
    if settings.orientation_ras != Some(false) && !network.is_planar() {
        preprocessing.push(Step::OrientRas);
    }
    // Auto3DSeg does not crop cases whose images have grids of their own.
    if settings.crop_foreground != Some(false) && extra.is_empty() {
        preprocessing.push(Step::CropForeground {
            threshold: 0.,
            margin: MARGIN,
        });
    }
    preprocessing.extend(resampling(settings, flags, network)?);
    if !extra.is_empty() {
        preprocessing.push(Step::ResampleToMatch { first_channels });
    }
    preprocessing.push(Step::Normalize {
        channels: normalizations,
    });
    Ok(preprocessing)
}

/// How intensities are normalized: by the stated modality, else as the checkpoint says, else by its modality.
fn normalization(
    settings: &InferenceSettings,
    flags: &ImportOverrides,
    modality: Modality,
) -> Result<Normalization, PlanningError> {
    let by_modality = match modality {
        Modality::Ct => NormalizeMode::Range,
        Modality::Mri => NormalizeMode::ZScore,
        Modality::Pet => NormalizeMode::Deviation,
    };
    let mode = match flags.modality {
        Some(_) => by_modality,
        None => settings.normalize_mode.unwrap_or(by_modality),
    };
    let ranged = settings.extra_modalities.iter().map(|(_, mode)| *mode);
    let ranged = ranged
        .chain([mode])
        .any(|mode| mode == NormalizeMode::Range);
    if flags.bounds.is_some() && !ranged {
        return Err(PlanningError::UnusedBounds);
    }
    normalize_as(mode, settings, flags)
}

/// The normalization of one image; Auto3DSeg has one range for all.
fn normalize_as(
    mode: NormalizeMode,
    settings: &InferenceSettings,
    flags: &ImportOverrides,
) -> Result<Normalization, PlanningError> {
    match mode {
        NormalizeMode::Range => {
            let [low, high] = flags
                .bounds
                .or(settings.intensity_bounds)
                .ok_or(PlanningError::NoBounds)?;
            Ok(Normalization::SigmoidRange { low, high })
        }
        NormalizeMode::ZScore => Ok(Normalization::ZScoreNonzero),
        NormalizeMode::ZScoreTanh => Ok(Normalization::ZScoreNonzeroTanh),
        NormalizeMode::Deviation => Ok(Normalization::SigmoidDeviation),
        NormalizeMode::None => Ok(Normalization::Identity),
    }
}

fn resampling(
    settings: &InferenceSettings,
    flags: &ImportOverrides,
    network: &NetworkConfig,
) -> Result<Option<Step>, PlanningError> {
    // Only Auto3DSeg's settings say whether images are resampled, and only it keeps similar spacings.
    let keep = if settings.resample.is_some() {
        KEPT_SPACINGS
    } else {
        NO_KEPT_SPACINGS
    };
    let spacing = match (flags.spacing, settings.resample) {
        (Some(spacing), _) => spacing,
        (None, Some(true)) if network.is_planar() => return Err(PlanningError::PlanarSpacing),
        (None, Some(true)) => settings
            .resample_resolution
            .ok_or(PlanningError::NoSpacing)?,
        (None, _) => return Ok(None),
    };
    Ok(Some(Step::Resample { spacing, keep }))
}
