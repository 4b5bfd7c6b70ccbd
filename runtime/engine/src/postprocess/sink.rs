//! Destinations of probabilities.

use ndarray::ArrayView4;
use vesal_volume::Geometry;
use vesal_volume::preprocess::BlockConsumer;

use crate::error::{EngineError, SinkError};

/// A consumer of probabilities as they are computed, so that they never exist in memory as a whole.
pub trait ProbabilitySink {
    /// Starts with the number of classes, the input's grid, and the axis along which blocks are passed.
    ///
    /// **Errors**: those of the implementation: storing fails.
    fn begin(&mut self, classes: usize, grid: &Geometry, axis: usize) -> Result<(), SinkError>;

    /// Takes a block `[K, X, Y, Z]` that begins at voxel `start` of the input's grid. Voxels of no block are 0.
    ///
    /// **Errors**: storing fails.
    fn write(&mut self, start: [usize; 3], block: ArrayView4<'_, f32>) -> Result<(), SinkError>;

    /// Ends after the last block.
    ///
    /// **Errors**: storing fails.
    fn finish(&mut self) -> Result<(), SinkError>;
}

/// A sink that may move to another thread with its case.
pub(crate) type Sink = Box<dyn ProbabilitySink + Send>;

/// Runs a step that passes blocks to the sink, if there is one.
pub(super) fn storing<T, E>(
    probabilities: &mut Option<&mut Sink>,
    step: impl FnOnce(Option<&mut BlockConsumer<'_>>) -> Result<T, E>,
) -> Result<T, EngineError>
where
    EngineError: From<E>,
{
    let Some(sink) = probabilities else {
        return Ok(step(None)?);
    };
    let mut stored = Ok(());
    let mut take = |start: [usize; 3], block: ArrayView4<'_, f32>| {
        if stored.is_ok() {
            stored = sink.write(start, block);
        }
    };
    let result = step(Some(&mut take))?;
    stored.map_err(EngineError::Probabilities)?;
    Ok(result)
}
