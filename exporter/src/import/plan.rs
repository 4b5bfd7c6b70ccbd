//! The deploy plan of an imported network: from the checkpoint's settings and the user's flags, which take precedence.

use std::path::PathBuf;

use thiserror::Error;
use vesal_bundle::DeployPlan;
use vesal_bundle::deploy_plan::{Activation, Channel, Label, MAX_WINDOW_SIDE, Modality};
use vesal_network::{NetworkConfig, WindowSizeError};
use vesal_volume::preprocess::{Normalization, Step};
use vesal_volume::window::{Blend, Padding, WindowPlan};

use super::labels::{self, ClassName};
use super::settings::{InferenceSettings, NormalizeMode};

/// Shared fraction of neighboring windows in MONAI's Auto3DSeg.
const OVERLAP: f64 = 0.625;
/// Width of the importance map in MONAI's sliding window inference.
const SIGMA_SCALE: f64 = 0.125;
/// Voxels kept around the foreground.
const MARGIN: usize = 10;
/// Spacings that Auto3DSeg keeps, as factors of the target.
const KEPT_SPACINGS: [f64; 2] = [0.75, 1.25];

/// Values from the user, which override the checkpoint.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ImportOverrides {
    pub name: Option<String>,
    /// Window in voxels.
    pub roi: Option<[usize; 3]>,
    /// Shared fraction of neighboring windows.
    pub overlap: Option<[f64; 3]>,
    /// Spacing in mm to resample to.
    pub spacing: Option<[f64; 3]>,
    pub modality: Option<Modality>,
    /// Range of intensities of CT.
    pub bounds: Option<[f32; 2]>,
    /// Names of all classes.
    pub labels: Option<Vec<String>>,
    /// File of rules of DICOM for the plan.
    pub dicom_rules: Option<PathBuf>,
}

/// Why no plan can be made from checkpoint and flags.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum PlanningError {
    /// Neither checkpoint nor flags state the window.
    #[error("the checkpoint does not state the window (`roi_size`)")]
    NoWindow,
    /// Neither checkpoint nor flags state the range of intensities.
    #[error(
        "the checkpoint does not state the range of intensities (`intensity_bounds`) that CT is normalized by"
    )]
    NoBounds,
    /// A range for images whose normalization has none.
    #[error("a range of intensities is given, and the images are not normalized by one")]
    UnusedBounds,
    /// Resampling without a spacing.
    #[error(
        "the checkpoint resamples images and does not state the spacing (`resample_resolution`)"
    )]
    NoSpacing,
    /// Resampling within planes.
    #[error(
        "the checkpoint resamples images within their planes only (`resample`), which a bundle cannot express"
    )]
    PlanarSpacing,
    /// A window that the network's strides do not divide.
    #[error("the window is {found:?} voxels, expected multiples of {factor:?}")]
    Window {
        found: [usize; 3],
        /// The required divisor.
        factor: [usize; 3],
    },
    /// A window that is too small for the network.
    #[error(transparent)]
    SmallWindow(WindowSizeError),
    /// The number of names differs from that of classes.
    #[error("{found} labels are named, the network has {expected} {what}")]
    Labels {
        found: usize,
        /// Outputs of the network.
        expected: usize,
        what: &'static str,
    },
    /// More images than the network has channels.
    #[error(
        "the checkpoint has {extra} `extra_modalities`, expected fewer than the {found} channels of its network"
    )]
    Channels {
        /// Channels of the network.
        found: usize,
        /// Images beside the first.
        extra: usize,
    },
}

impl PlanningError {
    /// A remedy for the user, if there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoWindow => Some("`--roi X,Y,Z` states it, in voxels, as in training".into()),
            Self::NoBounds => Some("`--bounds LOW,HIGH` states it, as in training".into()),
            Self::UnusedBounds => Some("leave `--bounds` out, or state `--modality ct`".into()),
            Self::NoSpacing => Some("`--spacing X,Y,Z` states it, in mm".into()),
            Self::PlanarSpacing => Some("`--spacing X,Y,Z` resamples along all axes, in mm".into()),
            Self::Window { found, factor } => {
                let next: [usize; 3] = std::array::from_fn(|axis| {
                    let count = found[axis].div_ceil(factor[axis]).max(1);
                    count.saturating_mul(factor[axis])
                });
                let [x, y, z] = next;
                // No window may be larger.
                let allowed = next.iter().all(|&side| side <= MAX_WINDOW_SIDE);
                allowed.then(|| format!("`--roi {x},{y},{z}` is the next larger one"))
            }
            Self::SmallWindow(_) => Some("`--roi X,Y,Z` states a larger one".into()),
            Self::Labels { .. } => {
                Some("`--labels NAME,...` names every class or region in order".into())
            }
            Self::Channels { .. } => None,
        }
    }
}

/// A plan, with its assumptions.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Planned {
    pub plan: DeployPlan,
    pub assumptions: Vec<String>,
}

/// Plans inference with an imported network, whose hyperparameters are in range.
///
/// **Source**: Auto3DSeg's segresnet template: orientation, foreground crop, resampling, normalization, in this order; and
/// its segresnet2d template, which keeps the orientation.
pub(super) fn plan(
    settings: &InferenceSettings,
    flags: &ImportOverrides,
    network: &NetworkConfig,
    name: &str,
) -> Result<Planned, PlanningError> {
    let mut assumptions = Vec::new();
    let modality = flags.modality.or(settings.modality).unwrap_or_else(|| {
        assumptions.push("the modality is MRI; `--modality ct` states another one".into());
        Modality::Mri
    });
    let normalization = normalization(settings, flags, modality)?;
    let extra = &settings.extra_modalities;
    let channels = network.in_channels();
    let first_channels = channels.saturating_sub(extra.len());
    if first_channels == 0 {
        return Err(PlanningError::Channels {
            found: channels,
            extra: extra.len(),
        });
    }
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
    let activation = match settings.sigmoid {
        Some(true) => Activation::Sigmoid,
        _ => Activation::Softmax,
    };
    let mut overlap = flags.overlap.or(settings.overlap).unwrap_or([OVERLAP; 3]);
    if network.is_planar() {
        // Planes do not depend on each other.
        overlap[2] = 0.;
    }
    let modality_of = |mode: &NormalizeMode| match mode {
        NormalizeMode::Range => Modality::Ct,
        NormalizeMode::Deviation => Modality::Pet,
        NormalizeMode::ZScore | NormalizeMode::ZScoreTanh => Modality::Mri,
        NormalizeMode::None => modality,
    };
    let further = extra.iter();
    let further = further.map(|(key, mode)| Channel::new(key.clone(), modality_of(mode)));

    let plan = DeployPlan {
        restore: Default::default(),
        name: flags
            .name
            .clone()
            .or_else(|| settings.name.clone())
            .unwrap_or_else(|| name.into()),
        channels: name_channels(first_channels, modality)
            .into_iter()
            .chain(further)
            .collect(),
        labels: name_labels(
            settings,
            flags,
            activation,
            network.out_channels(),
            &mut assumptions,
        )?,
        activation,
        preprocessing,
        window: WindowPlan {
            size: window(settings, flags, network)?,
            overlap,
            blend: Blend::Gaussian {
                sigma_scale: SIGMA_SCALE,
            },
            padding: Padding::Constant(0.),
        },
    };
    Ok(Planned { plan, assumptions })
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
        [1., 1.]
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

fn window(
    settings: &InferenceSettings,
    flags: &ImportOverrides,
    network: &NetworkConfig,
) -> Result<[usize; 3], PlanningError> {
    let found = flags
        .roi
        .or(settings.roi_size)
        .ok_or(PlanningError::NoWindow)?;
    let factor = network.shape_factor();
    let fits = (0..3).all(|axis| found[axis] > 0 && found[axis].is_multiple_of(factor[axis]));
    if !fits {
        return Err(PlanningError::Window { found, factor });
    }
    let checked = network.check_window(found);
    checked.map_err(PlanningError::SmallWindow)?;
    Ok(found)
}

fn name_channels(count: usize, modality: Modality) -> Vec<Channel> {
    let name = |index| {
        if count == 1 {
            "image".to_owned()
        } else {
            format!("image_{index}")
        }
    };
    (0..count)
        .map(|index| Channel::new(name(index), modality))
        .collect()
}

fn name_labels(
    settings: &InferenceSettings,
    flags: &ImportOverrides,
    activation: Activation,
    classes: usize,
    assumptions: &mut Vec<String>,
) -> Result<Vec<Label>, PlanningError> {
    let regions = activation == Activation::Sigmoid;
    let wrong = |found: usize| PlanningError::Labels {
        found,
        expected: classes,
        what: if regions {
            "regions"
        } else {
            "classes, background included"
        },
    };
    let stated = |name: &String| ClassName {
        name: name.clone(),
        index: None,
    };
    let named = match (&flags.labels, &settings.class_names) {
        (Some(names), _) if names.len() != classes => return Err(wrong(names.len())),
        (Some(names), _) => names.iter().map(stated).collect(),
        (None, Some(names)) => names.clone(),
        (None, None) => {
            let (example, numbered) = if regions {
                ("`--labels NAME,...`", labels::number_regions(classes))
            } else {
                ("`--labels background,...`", labels::number_classes(classes))
            };
            assumptions.push(format!(
                "classes have no names and are numbered; {example} names them"
            ));
            return Ok(numbered);
        }
    };
    let labels = if regions {
        labels::name_regions(&named, classes)
    } else {
        let names: Vec<_> = named.iter().map(|class| class.name.clone()).collect();
        labels::name_classes(&names, classes)
    };
    labels.ok_or_else(|| wrong(named.len()))
}

#[cfg(test)]
mod tests;
