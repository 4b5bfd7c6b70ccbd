//! Members with several prepared grids, or whose logits are restored: their predictions are inverted separately and
//! combined on the grid of the input.

use ndarray::{Array3, ArrayView4};
use vesal_volume::LabelMap;
use vesal_volume::postprocess::{Combine, InputGridEnsemble};
use vesal_volume::preprocess::{Inverter, PreprocessError, Restore};

use super::accumulator::{EnsembleAccumulator, through};
use super::prediction::{PredictedMember, Prediction};
use super::sink::{Sink, storing};
use crate::error::EngineError;

/// Postprocesses a case on the grid of the input.
pub(super) struct InputGridPostprocessor<'a> {
    members: &'a [PredictedMember],
    streams: Vec<Stream<'a>>,
    ensemble: InputGridEnsemble<'a>,
    probabilities: Option<&'a mut Sink>,
}

/// A prediction that is being inverted to the grid of the input.
struct Stream<'a> {
    prediction: &'a Prediction,
    /// Absent where logits are restored, because there is one member.
    accumulator: Option<EnsembleAccumulator>,
    /// Absent once all planes are inverted.
    inverter: Option<Inverter<'a>>,
    /// Prepared planes that are still to come.
    left: usize,
}

impl<'a> InputGridPostprocessor<'a> {
    pub(super) fn new(
        predictions: &'a [Prediction],
        members: &'a [PredictedMember],
        combine: Combine,
        order: (usize, bool),
        values: &'a [u16],
        mut probabilities: Option<&'a mut Sink>,
    ) -> Result<Self, EngineError> {
        let first = predictions.first().ok_or(EngineError::NoMembers)?;
        let input = first.transforms.input;
        if let Some(sink) = &mut probabilities {
            sink.begin(values.len(), &input, order.0)
                .map_err(EngineError::Probabilities)?;
        }
        let activation = first.plan.activation;
        let counted: Vec<_> = predictions
            .iter()
            .map(|prediction| prediction.on_input_grid(members, order))
            .collect();
        let mode = (combine, activation);
        let stream = |prediction: &'a Prediction| {
            let count = prediction.members.len();
            let accumulator = match prediction.plan.restore {
                // In a vote, every member is inverted separately.
                Restore::Probabilities => {
                    Some(EnsembleAccumulator::new(Combine::Mean, activation, count))
                }
                Restore::Logits => None,
            };
            Ok(Stream {
                prediction,
                accumulator,
                inverter: Some(Inverter::without_labels(
                    &prediction.transforms,
                    values.len(),
                )?),
                left: prediction.transforms.prepared.shape[0],
            })
        };
        Ok(Self {
            members,
            streams: predictions
                .iter()
                .map(stream)
                .collect::<Result<_, PreprocessError>>()?,
            ensemble: InputGridEnsemble::new(input, order, mode, values, &counted),
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
        for (index, stream) in self.streams.iter_mut().enumerate() {
            let own = stream
                .prediction
                .members
                .iter()
                .position(|&own| own == member);
            let Some(own) = own else {
                continue;
            };
            let complete = match &mut stream.accumulator {
                Some(accumulator) => accumulator.add(own, planes, head.as_ref(), *weight)?,
                None => planes
                    .into_iter()
                    .map(|plane| through(head.as_ref(), plane))
                    .collect(),
            };
            let Some(mut inverter) = stream.inverter.take() else {
                return Ok(());
            };
            stream.left = stream.left.saturating_sub(complete.len());
            let ensemble = &mut self.ensemble;
            storing(&mut self.probabilities, |mut take| {
                let mut pushed = Ok(());
                let mut consume = |start: [usize; 3], block: ArrayView4<'_, f32>| {
                    if pushed.is_ok() {
                        pushed = ensemble.push(index, start, block, take.as_deref_mut());
                    }
                };
                inverter.push_all(complete, Some(&mut consume))?;
                if stream.left > 0 {
                    stream.inverter = Some(inverter);
                    return Ok(pushed?);
                }
                inverter.finish(Some(&mut consume))?;
                pushed?;
                Ok::<_, EngineError>(ensemble.end(index, take)?)
            })?;
            return Ok(());
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<LabelMap, EngineError> {
        for stream in &mut self.streams {
            // Missing planes are an error.
            if let Some(inverter) = stream.inverter.take() {
                inverter.finish(None)?;
            }
        }
        Ok(self.ensemble.finish())
    }
}
