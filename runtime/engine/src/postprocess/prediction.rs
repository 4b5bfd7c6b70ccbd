//! The predictions of a case: members with a common prepared grid, and the grid on which they are combined.

use std::sync::Arc;

use vesal_bundle::DeployPlan;
use vesal_onnx::Head;
use vesal_volume::orientation::AxisTransform;
use vesal_volume::postprocess::InputGridMember;
use vesal_volume::preprocess::{AppliedTransforms, Restore};

use crate::ensemble::Ensemble;
use crate::prepared::PreparedCase;

/// A member of the ensemble in postprocessing.
#[derive(Debug, Clone)]
pub(crate) struct PredictedMember {
    pub(crate) head: Option<Head>,
    pub(crate) weight: f64,
}

/// Members whose planes are combined on their prepared grid, and inverted together.
#[derive(Debug, Clone)]
pub(crate) struct Prediction {
    pub(crate) plan: Arc<DeployPlan>,
    pub(crate) transforms: AppliedTransforms,
    /// Indices of the members.
    pub(crate) members: Vec<usize>,
}

/// The grid on which the members of a case are combined.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// On the common prepared grid.
    PreparedGrid,
    /// On the grid of the input, along an axis or against it.
    InputGrid { axis: usize, reversed: bool },
}

/// The predictions of a case.
#[derive(Debug, Clone)]
pub(crate) struct Predictions {
    pub(crate) place: Place,
    pub(crate) predictions: Vec<Prediction>,
}

impl Predictions {
    /// Members of one plan are combined on the prepared grid, if probabilities are restored. Otherwise planes go along the
    /// axis of the input that those of the first plan follow, so that all plans can be combined there in step.
    pub(crate) fn new(ensemble: &Ensemble, case: &PreparedCase) -> Self {
        let transforms = |group: usize| &case.images[group].transforms;
        let groups = ensemble.groups();
        if !ensemble.combines_on_input_grid() {
            let group = &groups[0];
            return Self {
                place: Place::PreparedGrid,
                predictions: vec![Prediction {
                    plan: Arc::clone(&group.plan),
                    transforms: transforms(0).clone(),
                    members: group.members.clone(),
                }],
            };
        }
        let orientation = transforms(0).orientation();
        let (axis, reversed) = (orientation.source[0], orientation.flip[0]);
        let mut predictions = Vec::new();
        for (index, group) in groups.iter().enumerate() {
            let transforms = transforms(index);
            let transforms = transforms.traversed(transforms.traversal(axis, reversed));
            let parts: Vec<Vec<usize>> = match ensemble.is_together(group) {
                true => vec![group.members.clone()],
                false => group.members.iter().map(|&member| vec![member]).collect(),
            };
            predictions.extend(parts.into_iter().map(|members| Prediction {
                plan: Arc::clone(&group.plan),
                transforms: transforms.clone(),
                members,
            }));
        }
        Self {
            place: Place::InputGrid { axis, reversed },
            predictions,
        }
    }

    /// Progress of a plan along the input, from its number of complete prepared planes.
    pub(crate) fn passed(&self, transforms: &AppliedTransforms) -> Passed {
        let Place::InputGrid { axis, reversed } = self.place else {
            return Passed {
                before: 0,
                scale: 1.0,
            };
        };
        let orientation = transforms.orientation();
        let along = orientation.source.iter().position(|&source| source == axis);
        let (before, kept) = kept_planes(transforms, axis, reversed);
        let prepared = transforms.prepared.shape[along.unwrap_or(0)];
        Passed {
            before,
            scale: kept as f64 / prepared.max(1) as f64,
        }
    }

    /// How the windows of a group are traversed.
    pub(crate) fn traversal(&self, transforms: &AppliedTransforms) -> AxisTransform {
        match self.place {
            Place::PreparedGrid => AxisTransform::IDENTITY,
            Place::InputGrid { axis, reversed } => transforms.traversal(axis, reversed),
        }
    }
}

/// Progress of a plan along the input.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Passed {
    /// Planes of the input before those that the plan keeps.
    before: usize,
    /// Planes of the input for each prepared one.
    scale: f64,
}

impl Passed {
    /// Planes of the input that are passed after this many prepared ones.
    pub(crate) fn after(&self, prepared: usize) -> f64 {
        self.before as f64 + prepared as f64 * self.scale
    }
}

impl Prediction {
    /// Its weight on the grid of the input.
    pub(super) fn on_input_grid(
        &self,
        members: &[PredictedMember],
        (axis, reversed): (usize, bool),
    ) -> InputGridMember {
        let (before, _) = kept_planes(&self.transforms, axis, reversed);
        InputGridMember {
            weight: self
                .members
                .iter()
                .map(|&member| members[member].weight)
                .sum(),
            logits: self.plan.restore == Restore::Logits,
            before,
        }
    }
}

/// Planes of the input, in the order in which they are passed, that are cropped away before the first that is kept, and
/// those that are kept.
fn kept_planes(transforms: &AppliedTransforms, axis: usize, reversed: bool) -> (usize, usize) {
    let (start, shape) = transforms.kept();
    let before = match reversed {
        true => transforms.input.shape[axis] - start[axis] - shape[axis],
        false => start[axis],
    };
    (before, shape[axis])
}
