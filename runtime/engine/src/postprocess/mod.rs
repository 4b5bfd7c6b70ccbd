//! Postprocessing: from complete planes of all members to labels on the input's grid.

mod accumulator;
mod input_grid;
mod prediction;
mod prepared_grid;
mod sink;

use std::time::{Duration, Instant};

use ndarray::Array3;
use vesal_volume::LabelMap;
use vesal_volume::postprocess::Combine;

use crate::error::EngineError;
use input_grid::InputGridPostprocessor;
use prepared_grid::PreparedGridPostprocessor;

pub use sink::ProbabilitySink;

#[cfg(test)]
pub(crate) use prediction::Prediction;
pub(crate) use prediction::{Passed, Place, PredictedMember, Predictions};
pub(crate) use sink::Sink;

/// Takes a member's next planes, `[K, Y, Z]` each.
pub(crate) type PlaneConsumer<'a> =
    dyn FnMut(usize, Vec<Array3<f32>>) -> Result<(), EngineError> + 'a;

/// Inputs of the postprocessing of a case.
pub(crate) struct PostprocessRequest {
    pub(crate) members: Vec<PredictedMember>,
    pub(crate) predictions: Predictions,
    pub(crate) combine: Combine,
    pub(crate) probabilities: Option<Sink>,
}

/// Labels of a case, and the time that combining and inverting took.
pub(crate) struct Postprocessed {
    pub(crate) labels: LabelMap,
    pub(crate) time: Duration,
}

/// Combines complete planes of the members, and inverts the preprocessing on them.
enum Postprocessor<'a> {
    PreparedGrid(Box<PreparedGridPostprocessor<'a>>),
    InputGrid(Box<InputGridPostprocessor<'a>>),
}

impl PostprocessRequest {
    /// Postprocesses the planes that `feed` passes, until it returns.
    ///
    /// **Errors**: the grids cannot be related, probabilities cannot be stored, or `feed` fails.
    pub(crate) fn run(
        mut self,
        feed: impl FnOnce(&mut PlaneConsumer<'_>) -> Result<(), EngineError>,
    ) -> Result<Postprocessed, EngineError> {
        let Predictions { place, predictions } = &self.predictions;
        let Some(first) = predictions.first() else {
            return Err(EngineError::NoMembers);
        };
        let values = first.plan.label_values();
        let sink = self.probabilities.as_mut();
        let mut postprocessor = match *place {
            Place::PreparedGrid => {
                let (members, combine) = (&self.members, self.combine);
                let processor =
                    PreparedGridPostprocessor::new(first, members, combine, &values, sink)?;
                Postprocessor::PreparedGrid(Box::new(processor))
            }
            Place::InputGrid { axis, reversed } => {
                let (members, combine) = (&self.members, self.combine);
                let order = (axis, reversed);
                let processor = InputGridPostprocessor::new(
                    predictions,
                    members,
                    combine,
                    order,
                    &values,
                    sink,
                )?;
                Postprocessor::InputGrid(Box::new(processor))
            }
        };
        let mut time = Duration::ZERO;
        feed(&mut |member, planes| {
            let begin = Instant::now();
            match &mut postprocessor {
                Postprocessor::PreparedGrid(processor) => processor.take(member, planes)?,
                Postprocessor::InputGrid(processor) => processor.take(member, planes)?,
            }
            time += begin.elapsed();
            Ok(())
        })?;
        let begin = Instant::now();
        let labels = match postprocessor {
            Postprocessor::PreparedGrid(processor) => processor.finish()?,
            Postprocessor::InputGrid(processor) => processor.finish()?,
        };
        time += begin.elapsed();
        if let Some(mut sink) = self.probabilities {
            sink.finish().map_err(EngineError::Probabilities)?;
        }
        Ok(Postprocessed { labels, time })
    }
}
