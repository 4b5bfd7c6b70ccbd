//! The deploy plan of an imported network: from the checkpoint's settings and the user's flags, which take precedence.

use vesal_bundle::DeployPlan;
use vesal_bundle::deploy_plan::{Activation, Channel, Label, Modality};
use vesal_network::NetworkConfig;
use vesal_volume::window::{Blend, Padding, WindowPlan};

use super::assumed::SOFTMAX;
use super::labels::{self, ClassName};
use super::overrides::ImportOverrides;
use super::planning_error::PlanningError;
use super::settings::{InferenceSettings, NormalizeMode};
use super::steps;
use super::template::Template;
use crate::lower;

/// Shared fraction of neighboring windows in MONAI's Auto3DSeg.
const OVERLAP: f64 = 0.625;
/// Width of the importance map in MONAI's sliding window inference.
const SIGMA_SCALE: f64 = 0.125;
/// A plan, with its assumptions.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Planned {
    pub plan: DeployPlan,
    pub assumptions: Vec<String>,
}

/// Plans inference with an imported network, whose hyperparameters are in range.
///
/// **Source**: Auto3DSeg's templates.
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
    let extra = &settings.extra_modalities;
    let channels = network.in_channels();
    let first_channels = channels.saturating_sub(extra.len());
    if first_channels == 0 {
        return Err(PlanningError::Channels {
            found: channels,
            extra: extra.len(),
        });
    }
    let preprocessing = steps::steps(settings, flags, network, modality)?;
    let template = Template::of(network);
    let stated = settings.sigmoid.map(|sigmoid| match sigmoid {
        true => Activation::Sigmoid,
        false => Activation::Softmax,
    });
    let activation = flags.activation.or(stated).unwrap_or_else(|| {
        if template.is_uniform() {
            assumptions.push(SOFTMAX.into());
        }
        Activation::Softmax
    });
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
        restore: settings.restore.unwrap_or(template.restore()),
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
            size: window(settings, flags, network, &mut assumptions)?,
            overlap,
            blend: settings.blend.unwrap_or(Blend::Gaussian {
                sigma_scale: SIGMA_SCALE,
            }),
            padding: settings.padding.unwrap_or(Padding::Constant(0.)),
        },
    };
    Ok(Planned { plan, assumptions })
}

fn window(
    settings: &InferenceSettings,
    flags: &ImportOverrides,
    network: &NetworkConfig,
    assumptions: &mut Vec<String>,
) -> Result<[usize; 3], PlanningError> {
    let template = || {
        let [x, y, z] = Template::of(network).window()?;
        assumptions.push(format!(
            "the window is {x}×{y}×{z} voxels; `--roi X,Y,Z` states another one"
        ));
        Some([x, y, z])
    };
    let stated = flags.roi.or(settings.roi_size);
    let found = stated.or_else(template).ok_or(PlanningError::NoWindow)?;
    let factor = network.shape_factor();
    let fits = (0..3).all(|axis| found[axis] > 0 && found[axis].is_multiple_of(factor[axis]));
    if !fits {
        return Err(PlanningError::Window { found, factor });
    }
    let checked = network.check_window(found);
    checked.map_err(PlanningError::SmallWindow)?;
    lower::check_indices(network, found).map_err(PlanningError::LargeWindow)?;
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
