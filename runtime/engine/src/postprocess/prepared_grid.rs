//! Members with one prepared grid: they are combined there, and labels are picked when probabilities are inverted to
//! the grid of the input.

use ndarray::Array3;
use vesal_volume::LabelMap;
use vesal_volume::postprocess::Combine;
use vesal_volume::preprocess::Inverter;

use super::accumulator::EnsembleAccumulator;
use super::prediction::{PredictedMember, Prediction};
use super::sink::{Sink, storing};
use crate::error::EngineError;

/// Postprocesses a case with one prepared grid.
pub(super) struct PreparedGridPostprocessor<'a> {
    members: &'a [PredictedMember],
    accumulator: EnsembleAccumulator,
    inverter: Inverter<'a>,
    probabilities: Option<&'a mut Sink>,
}

impl<'a> PreparedGridPostprocessor<'a> {
    pub(super) fn new(
        prediction: &'a Prediction,
        members: &'a [PredictedMember],
        combine: Combine,
        values: &'a [u16],
        mut probabilities: Option<&'a mut Sink>,
    ) -> Result<Self, EngineError> {
        let Prediction {
            plan, transforms, ..
        } = prediction;
        if let Some(sink) = &mut probabilities {
            let axis = transforms.orientation().source[0];
            sink.begin(values.len(), &transforms.input, axis)
                .map_err(EngineError::Probabilities)?;
        }
        Ok(Self {
            members,
            accumulator: EnsembleAccumulator::new(combine, plan.activation, members.len()),
            inverter: Inverter::new(transforms, plan.activation, values)?,
            probabilities,
        })
    }

    /// Adds a member's next planes.
    pub(super) fn take(
        &mut self,
        member: usize,
        planes: Vec<Array3<f32>>,
    ) -> Result<(), EngineError> {
        let PredictedMember { head, weight } = &self.members[member];
        let complete = self
            .accumulator
            .add(member, planes, head.as_ref(), *weight)?;
        let inverter = &mut self.inverter;
        storing(&mut self.probabilities, |take| {
            inverter.push_all(complete, take)
        })
    }

    pub(super) fn finish(mut self) -> Result<LabelMap, EngineError> {
        let inverter = self.inverter;
        storing(&mut self.probabilities, |take| inverter.finish(take))
    }
}
