//! Predicting a volume window by window and blending the outputs.

use std::borrow::Cow;
use std::ops::ControlFlow;

use ndarray::{Array4, Array5, ArrayView4, Axis, s};
use rayon::prelude::*;
use thiserror::Error;

use super::grid::Span;
use super::{Padding, PatchPredictor, WindowError, WindowGrid, WindowPlan, importance_map, patch};

/// Values per window (voxels times channels) from which blending it is worth waking other threads.
const PARALLEL_VALUES: usize = 1 << 17;

/// Why a volume cannot be predicted.
#[derive(Debug, Error)]
pub enum StitchError<E: std::error::Error + 'static> {
    /// Windows cannot be placed.
    #[error("cannot place windows")]
    Window(#[from] WindowError),
    /// A volume without channels.
    #[error("volume has 0 channels, expected at least 1")]
    NoChannels,
    /// A predictor that takes no patches or returns no channels.
    #[error(
        "predictor takes {max_batch} patches per batch and returns {output_channels} channels, expected at least 1 of each"
    )]
    EmptyPredictor {
        /// Patches per batch.
        max_batch: usize,
        /// Channels of the output.
        output_channels: usize,
    },
    /// Not enough memory.
    #[error("cannot allocate {bytes} bytes to predict the volume")]
    OutOfMemory {
        /// Size of the allocation that failed, in bytes; the largest number if it cannot be expressed.
        bytes: u64,
    },
    /// The predictor failed.
    #[error("prediction fails at window {window} of {total}")]
    Predict {
        /// First window of the batch, from 1.
        window: usize,
        /// Windows of the volume.
        total: usize,
        /// What the predictor reports.
        source: E,
    },
    /// The predictor returned a wrong shape.
    #[error("predictor returns shape {found:?}, expected {expected:?} ([N, K, X, Y, Z])")]
    OutputShape {
        /// Batch, channels and window of the request.
        expected: [usize; 5],
        /// Shape of the output.
        found: [usize; 5],
    },
    /// The caller asked to stop.
    #[error("prediction stopped after {done} of {total} windows")]
    Cancelled {
        /// Windows predicted.
        done: usize,
        /// Windows of the volume.
        total: usize,
    },
}

/// How far a prediction is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Windows predicted and blended.
    pub done: usize,
    /// Windows of the volume.
    pub total: usize,
}

/// What predicting a volume takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StitchCost {
    /// Windows to predict.
    pub windows: usize,
    /// Peak memory in bytes on top of the input volume and of what the predictor allocates inside: the output,
    /// one batch of patches and its prediction, and the blending weights.
    pub bytes: u64,
}

/// Computes what [`stitch`] takes for a volume of this shape, `[C, X, Y, Z]`, before anything is allocated.
///
/// **Errors**: an invalid plan, or a volume without voxels. Sizes that exceed 64 bits saturate.
pub fn stitch_cost(
    volume: [usize; 4],
    plan: &WindowPlan,
    output_channels: usize,
    max_batch: usize,
) -> Result<StitchCost, WindowError> {
    let [channels, x, y, z] = volume;
    let windows = WindowGrid::new([x, y, z], plan)?.count();
    let batch = max_batch.min(windows);
    let [i, j, k] = plan.size;
    let values = [
        product(&[output_channels, x, y, z]),
        product(&[batch, channels, i, j, k]),
        product(&[batch, output_channels, i, j, k]),
        product(&[i, j, k]),
        product(&[rayon::current_num_threads(), y, z]),
    ];
    let bytes = values
        .into_iter()
        .fold(0, u64::saturating_add)
        .saturating_mul(size_of::<f32>() as u64);
    Ok(StitchCost { windows, bytes })
}

fn product(factors: &[usize]) -> u64 {
    factors
        .iter()
        .fold(1, |product, &factor| product.saturating_mul(factor as u64))
}

/// Predicts a volume window by window and blends the outputs.
///
/// **Shapes**: `[C, X, Y, Z]` → `[K, X, Y, Z]` with K the predictor's output channels.
///
/// **Definition**: `out = sum(w p) / sum(w)` over the windows that cover a voxel, with `p` a window's output and
/// `w` its [`importance_map`], both in `f32`; padding is cut off again.
///
/// **Errors**: an invalid plan, an empty volume or predictor, a failed prediction or one of the wrong shape, or too
/// little memory.
///
/// **Source**: MONAI 1.6.1 `sliding_window_inference`. Here the sum of weights is computed plane by plane at the
/// end, so that no second volume is held, and padding is never materialized beyond a patch.
pub fn stitch<P: PatchPredictor>(
    volume: ArrayView4<'_, f32>,
    plan: &WindowPlan,
    predictor: &mut P,
) -> Result<Array4<f32>, StitchError<P::Error>> {
    stitch_with_progress(volume, plan, predictor, |_| ControlFlow::Continue(()))
}

/// Does what [`stitch`] does and reports after every batch of windows, and once before the first.
///
/// **Errors**: those of [`stitch`], and [`StitchError::Cancelled`] as soon as `progress` breaks.
pub fn stitch_with_progress<P: PatchPredictor>(
    volume: ArrayView4<'_, f32>,
    plan: &WindowPlan,
    predictor: &mut P,
    mut progress: impl FnMut(Progress) -> ControlFlow<()>,
) -> Result<Array4<f32>, StitchError<P::Error>> {
    let (channels, x, y, z) = volume.dim();
    let grid = WindowGrid::new([x, y, z], plan)?;
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
    let total = grid.count();
    let batch = max_batch.min(total);
    let [i, j, k] = plan.size;
    let fill = match plan.padding {
        Padding::Constant(value) => value,
        Padding::Replicate => 0.0,
    };

    let mut report = |done| match progress(Progress { done, total }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(StitchError::Cancelled { done, total }),
    };
    report(0)?;
    let shape = [output_channels, x, y, z];
    let mut sum = filled(&shape, 0.0)?;
    let mut patches = Array5::from_shape_vec(
        [batch, channels, i, j, k],
        filled(&[batch, channels, i, j, k], fill)?,
    )
    .map_err(|_| too_large(&[batch, channels, i, j, k]))?;
    let map = importance_map(plan.size, plan.blend);
    let weights = contiguous(map.as_slice(), map.iter());

    let mut starts = grid.windows();
    let mut done = 0;
    while done < total {
        let windows: Vec<_> = starts
            .by_ref()
            .take(batch)
            .map(|start| grid.spans(start))
            .collect();
        for (spans, patch) in windows.iter().zip(patches.outer_iter_mut()) {
            patch::cut(volume, spans, plan.padding, patch);
        }
        let output = predictor
            .predict(patches.slice(s![..windows.len(), .., .., .., ..]))
            .map_err(|source| StitchError::Predict {
                window: done + 1,
                total,
                source,
            })?;
        let expected = [windows.len(), output_channels, i, j, k];
        if output.shape() != expected {
            let (n, c, i, j, k) = output.dim();
            return Err(StitchError::OutputShape {
                expected,
                found: [n, c, i, j, k],
            });
        }
        let values = contiguous(output.as_slice(), output.iter());
        for (spans, values) in windows
            .iter()
            .zip(values.chunks_exact(output_channels * i * j * k))
        {
            accumulate(&mut sum, [x, y, z], values, &weights, plan.size, spans);
        }
        done += windows.len();
        report(done)?;
    }
    drop(patches);

    let mut output = Array4::from_shape_vec(shape, sum).map_err(|_| too_large(&shape))?;
    normalize(&mut output, &grid, &weights, plan.size);
    Ok(output)
}

/// Adds one window's weighted output to the sum.
///
/// **Shapes**: `sum` is `[K, volume]`, `values` is `[K, window]`, `weights` is `[window]`, all row-major.
fn accumulate(
    sum: &mut [f32],
    volume: [usize; 3],
    values: &[f32],
    weights: &[f32],
    window: [usize; 3],
    spans: &[Span; 3],
) {
    let plane = volume[1] * volume[2];
    let window_plane = window[1] * window[2];
    let [x, y, z] = spans;
    let add_plane = |index: usize, sums: &mut [f32], values: &[f32]| {
        let first = (x.patch + index) * window_plane;
        let (values, weights) = (
            &values[first..first + window_plane],
            &weights[first..first + window_plane],
        );
        for (row, target) in y.volume.clone().enumerate() {
            let from = (y.patch + row) * window[2] + z.patch;
            let source = from..from + z.volume.len();
            let target = target * volume[2];
            let sums = &mut sums[target + z.volume.start..target + z.volume.end];
            for ((sum, value), weight) in sums
                .iter_mut()
                .zip(&values[source.clone()])
                .zip(&weights[source])
            {
                *sum += value * weight;
            }
        }
    };
    let parallel = values.len() >= PARALLEL_VALUES;
    for (sums, values) in sum
        .chunks_exact_mut(volume[0] * plane)
        .zip(values.chunks_exact(weights.len()))
    {
        let planes = &mut sums[x.volume.start * plane..x.volume.end * plane];
        if parallel {
            planes
                .par_chunks_mut(plane)
                .enumerate()
                .for_each(|(index, sums)| add_plane(index, sums, values));
        } else {
            planes
                .chunks_mut(plane)
                .enumerate()
                .for_each(|(index, sums)| add_plane(index, sums, values));
        }
    }
}

/// Divides the sum by the weights of the windows that cover each voxel.
fn normalize(sum: &mut Array4<f32>, grid: &WindowGrid, weights: &[f32], window: [usize; 3]) {
    let (_, _, rows, columns) = sum.dim();
    let [x_spans, y_spans, z_spans] = [0, 1, 2].map(|axis| grid.axis_spans(axis));
    let slabs: Vec<_> = sum.axis_iter_mut(Axis(1)).enumerate().collect();
    slabs.into_par_iter().for_each_init(
        || vec![0.0f32; rows * columns],
        |total, (x, mut slab)| {
            total.fill(0.0);
            for x_span in x_spans.iter().filter(|span| span.volume.contains(&x)) {
                let first = (x_span.patch + x - x_span.volume.start) * window[1] * window[2];
                let weights = &weights[first..first + window[1] * window[2]];
                for (y_span, z_span) in y_spans
                    .iter()
                    .flat_map(|y| z_spans.iter().map(move |z| (y, z)))
                {
                    for (row, target) in y_span.volume.clone().enumerate() {
                        let from = (y_span.patch + row) * window[2] + z_span.patch;
                        let target = target * columns;
                        let total =
                            &mut total[target + z_span.volume.start..target + z_span.volume.end];
                        for (total, weight) in total.iter_mut().zip(&weights[from..]) {
                            *total += weight;
                        }
                    }
                }
            }
            for mut class in slab.outer_iter_mut() {
                for (mut row, total) in class
                    .rows_mut()
                    .into_iter()
                    .zip(total.chunks_exact(columns))
                {
                    row.iter_mut()
                        .zip(total)
                        .for_each(|(sum, weight)| *sum /= weight);
                }
            }
        },
    );
}

/// The elements in row-major order, borrowed where they lie so in memory.
fn contiguous<'a>(
    slice: Option<&'a [f32]>,
    elements: impl Iterator<Item = &'a f32>,
) -> Cow<'a, [f32]> {
    slice.map_or_else(|| Cow::Owned(elements.copied().collect()), Cow::Borrowed)
}

/// Allocates an array's elements, with an error instead of an abort when memory is short.
fn filled<E: std::error::Error>(shape: &[usize], value: f32) -> Result<Vec<f32>, StitchError<E>> {
    let length = usize::try_from(product(shape)).map_err(|_| too_large(shape))?;
    let mut elements = Vec::new();
    elements
        .try_reserve_exact(length)
        .map_err(|_| too_large(shape))?;
    elements.resize(length, value);
    Ok(elements)
}

fn too_large<E: std::error::Error>(shape: &[usize]) -> StitchError<E> {
    StitchError::OutOfMemory {
        bytes: product(shape).saturating_mul(size_of::<f32>() as u64),
    }
}
