//! Sliding-window inference: predicting the windows of a volume in order, and blending the outputs.

use ndarray::{Array3, Array5, ArrayView4, s};
use thiserror::Error;

use super::blending::{Blending, Stitcher};
use super::grid::WindowGrid;
use super::patch;
use super::plan::{Padding, WindowPlan};
use super::predictor::PatchPredictor;
use super::validate::WindowError;

/// Why a volume cannot be predicted.
#[derive(Debug, Error)]
pub enum StitchError<E: std::error::Error + 'static> {
    #[error("cannot place windows")]
    Window(#[from] WindowError),
    #[error("volume has 0 channels, expected at least 1")]
    NoChannels,
    /// A predictor that takes no patches or returns no channels.
    #[error(
        "predictor takes {max_batch} patches per batch and returns {output_channels} channels, expected at least 1 of each"
    )]
    EmptyPredictor {
        /// Patches per batch.
        max_batch: usize,
        output_channels: usize,
    },
    #[error("cannot allocate {bytes} bytes to predict the volume")]
    OutOfMemory {
        /// Size of the allocation that failed, in bytes; the largest number if it cannot be expressed.
        bytes: u64,
    },
    #[error("prediction fails at window {window} of {total}")]
    Predict {
        /// First window of the batch, from 1.
        window: usize,
        /// Windows of the volume.
        total: usize,
        /// The predictor's own error.
        source: E,
    },
    #[error("predictor returns shape {found:?}, expected {expected:?} ([N, K, X, Y, Z])")]
    OutputShape {
        /// Batch, channels and window of the request.
        expected: [usize; 5],
        /// Shape of the output.
        found: [usize; 5],
    },
}

/// Progress of a prediction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowProgress {
    /// Windows predicted and blended.
    pub done: usize,
    /// Windows of the volume.
    pub total: usize,
}

/// Upper bound in bytes of the memory that a [`SlidingWindowInferer`] over a volume of this shape takes, `[C, X, Y, Z]`:
/// blended planes, a batch of patches and its prediction, and the blending weights. The volume and what the predictor
/// allocates inside are not counted.
///
/// **Errors**: an invalid plan, or a volume without voxels. Sizes that exceed 64 bits saturate.
pub fn inferer_bytes(
    volume: [usize; 4],
    plan: &WindowPlan,
    output_channels: usize,
    max_batch: usize,
) -> Result<u64, WindowError> {
    let [channels, x, y, z] = volume;
    let grid = WindowGrid::new([x, y, z], plan)?;
    let batch = max_batch.min(grid.count());
    let [i, j, k] = plan.size;
    let values = [
        // Besides the planes held: one that was popped, and the sum of weights over a plane.
        product(&[output_channels, grid.planes_held(batch) + 1, y, z]),
        product(&[y, z]),
        product(&[batch, channels, i, j, k]),
        product(&[batch, output_channels, i, j, k]),
        product(&[i, j, k]),
    ];
    let bytes = values
        .into_iter()
        .fold(0, u64::saturating_add)
        .saturating_mul(size_of::<f32>() as u64);
    Ok(bytes)
}

fn product(factors: &[usize]) -> u64 {
    factors
        .iter()
        .fold(1, |product, &factor| product.saturating_mul(factor as u64))
}

/// Predicts the windows of a volume batch by batch, from the first X position to the last, and blends the outputs.
///
/// **Source**: MONAI 1.6.1 `SlidingWindowInferer`, which holds the outputs of a whole volume.
#[derive(Debug)]
pub struct SlidingWindowInferer<'a> {
    blending: &'a Blending,
    volume: ArrayView4<'a, f32>,
    padding: Padding,
    output_channels: usize,
    patches: Array5<f32>,
    stitcher: Stitcher<'a>,
    done: usize,
}

impl<'a> SlidingWindowInferer<'a> {
    /// Starts before the first window of a volume, `[C, X, Y, Z]`, of the shape that the blending was made for.
    ///
    /// **Errors**: an empty volume or predictor, or too little memory for a batch.
    pub fn new<P: PatchPredictor>(
        volume: ArrayView4<'a, f32>,
        plan: &WindowPlan,
        blending: &'a Blending,
        predictor: &P,
    ) -> Result<Self, StitchError<P::Error>> {
        let batch = predictor.max_batch().min(blending.grid().count());
        Ok(Self {
            blending,
            volume: blending.traversal().apply_to_view(volume),
            padding: plan.padding,
            output_channels: predictor.output_channels(),
            patches: patches(volume, plan, predictor, batch)?,
            stitcher: Stitcher::new(blending, predictor.output_channels()),
            done: 0,
        })
    }

    /// Windows done so far.
    pub fn progress(&self) -> WindowProgress {
        WindowProgress {
            done: self.done,
            total: self.blending.grid().count(),
        }
    }

    /// Predicts and blends the next batch; does nothing after the last.
    ///
    /// **Errors**: the prediction fails or has the wrong shape.
    pub fn step<P: PatchPredictor>(
        &mut self,
        predictor: &mut P,
    ) -> Result<(), StitchError<P::Error>> {
        let WindowProgress { done, total } = self.progress();
        let grid = self.blending.grid();
        let windows: Vec<_> = (done..total)
            .take(self.patches.dim().0)
            .filter_map(|index| Some(grid.spans(grid.window(index)?)))
            .collect();
        if windows.is_empty() {
            return Ok(());
        }
        let traversal = self.blending.traversal();
        for (spans, patch) in windows.iter().zip(self.patches.outer_iter_mut()) {
            let patch = traversal.apply_to_view(patch);
            patch::cut(self.volume, spans, self.padding, patch);
        }
        let output = predictor
            .predict(self.patches.slice(s![..windows.len(), .., .., .., ..]))
            .map_err(|source| StitchError::Predict {
                window: done + 1,
                total,
                source,
            })?;
        let (_, _, i, j, k) = self.patches.dim();
        let expected = [windows.len(), self.output_channels, i, j, k];
        if output.shape() != expected {
            let (n, c, i, j, k) = output.dim();
            return Err(StitchError::OutputShape {
                expected,
                found: [n, c, i, j, k],
            });
        }
        for output in output.outer_iter() {
            let output = traversal.apply_to_view(output);
            match output.as_slice() {
                Some(values) => self.stitcher.add(values),
                None => self
                    .stitcher
                    .add(&output.iter().copied().collect::<Vec<_>>()),
            }
        }
        self.done += windows.len();
        Ok(())
    }

    /// Returns the next plane along X that no further window reaches, `[K, Y, Z]`, if there is one.
    pub fn pop(&mut self) -> Option<Array3<f32>> {
        self.stitcher.pop()
    }
}

/// A batch of patches, filled with the padding value.
pub(super) fn patches<P: PatchPredictor>(
    volume: ArrayView4<'_, f32>,
    plan: &WindowPlan,
    predictor: &P,
    batch: usize,
) -> Result<Array5<f32>, StitchError<P::Error>> {
    let channels = volume.dim().0;
    if channels == 0 {
        return Err(StitchError::NoChannels);
    }
    let (max_batch, output_channels) = (predictor.max_batch(), predictor.output_channels());
    if max_batch == 0 || output_channels == 0 {
        return Err(StitchError::EmptyPredictor {
            max_batch,
            output_channels,
        });
    }
    let fill = match plan.padding {
        Padding::Constant(value) => value,
        Padding::Replicate => 0.0,
    };
    let [i, j, k] = plan.size;
    let shape = [batch, channels, i, j, k];
    Array5::from_shape_vec(shape, filled(&shape, fill)?).map_err(|_| too_large(&shape))
}

/// Allocates an array's elements, with an error instead of an abort when memory is short.
pub(super) fn filled<E: std::error::Error>(
    shape: &[usize],
    value: f32,
) -> Result<Vec<f32>, StitchError<E>> {
    let length = usize::try_from(product(shape)).map_err(|_| too_large(shape))?;
    let mut elements = Vec::new();
    elements
        .try_reserve_exact(length)
        .map_err(|_| too_large(shape))?;
    elements.resize(length, value);
    Ok(elements)
}

pub(super) fn too_large<E: std::error::Error>(shape: &[usize]) -> StitchError<E> {
    StitchError::OutOfMemory {
        bytes: product(shape).saturating_mul(size_of::<f32>() as u64),
    }
}
