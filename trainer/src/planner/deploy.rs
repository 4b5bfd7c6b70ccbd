//! The deploy plan.

use vesal_bundle::deploy_plan::{Channel, DeployPlan};
use vesal_volume::preprocess::Step;
use vesal_volume::window::{Blend, Padding, WindowPlan};

use super::{PlannerError, PlannerInput};

/// Standard deviation of a window's weights as a fraction of its side.
const SIGMA_SCALE: f64 = 0.125;

/// Creates the deploy plan: channels, labels and activation of the task, windows with Gaussian weights, and the task's
/// DICOM rules.
///
/// **Errors**: [`PlannerError::Dicom`], [`PlannerError::DeployPlan`].
pub(crate) fn deploy_plan(
    input: &PlannerInput<'_>,
    channels: usize,
    preprocessing: Vec<Step>,
    roi: [usize; 3],
    overlap: [f64; 3],
) -> Result<DeployPlan, PlannerError> {
    let first_channels = channels - input.extra_modalities.len();
    let name = |index| match first_channels {
        1 => "image".to_owned(),
        _ => format!("image_{index}"),
    };
    let first = (0..first_channels).map(|index| Channel::new(name(index), input.modality));
    let further = input.extra_modalities.iter();
    let further = further.map(|(key, modality)| Channel::new(key.clone(), *modality));
    let mut plan = DeployPlan {
        restore: Default::default(),
        name: input.name.to_owned(),
        channels: first.chain(further).collect(),
        labels: input.classes.labels(),
        activation: input.classes.activation(),
        preprocessing,
        window: WindowPlan {
            size: roi,
            overlap,
            blend: Blend::Gaussian {
                sigma_scale: SIGMA_SCALE,
            },
            padding: Padding::Constant(0.0),
        },
    };
    input.dicom.apply(&mut plan)?;
    plan.validate()?;
    Ok(plan)
}
