//! Planes of the output between prepared ones: interpolated, and labeled.

use std::collections::VecDeque;
use std::ops::Range;

use ndarray::{Array3, Array4, ArrayView1, ArrayView4, ArrayViewMut2, ArrayViewMut3, Axis};
use rayon::prelude::*;

use crate::postprocess::{Activation, LabelingError};
use crate::preprocess::PreprocessError;
use crate::resample::{PlaneSampler, RowScratch, SlabScratch};

/// Interpolates planes of the output between the available prepared ones, `[K, planes, Y, Z]`.
pub(super) fn resampled(
    sampler: &PlaneSampler,
    planes: &VecDeque<Array3<f32>>,
    first: usize,
    [_, y, z]: [usize; 3],
    range: Range<usize>,
) -> Array4<f32> {
    let classes = planes.front().map_or(0, |plane| plane.dim().0);
    let mut block = Array4::zeros((classes, range.len(), y, z));
    let channel = |x: usize, class: usize| {
        let plane = planes.get(x - first).and_then(|plane| plane.as_slice());
        let values = plane.unwrap_or_default();
        let length = values.len() / classes.max(1);
        &values[class * length..(class + 1) * length]
    };
    if let Some(block) = block.as_slice_mut() {
        block
            .par_chunks_exact_mut((y * z).max(1))
            .enumerate()
            .for_each_init(SlabScratch::default, |scratch, (index, output)| {
                let (class, x) = (index / range.len(), range.start + index % range.len());
                let [low, high] = sampler.neighbors(x);
                sampler.plane(
                    x,
                    channel(low, class),
                    channel(high, class),
                    output,
                    scratch,
                );
            });
    }
    block
}

/// Rows that one thread interpolates and labels at a time.
const BAND: usize = 64;

/// Labels planes of the output from `start` on, between the prepared ones, `[K, Y, Z]`, that `plane` gives.
pub(super) fn resample_to_labels<'a>(
    sampler: &PlaneSampler,
    plane: impl Fn(usize) -> Option<&'a [f32]> + Sync,
    start: usize,
    mut labels: ArrayViewMut3<'_, u16>,
    label: impl Fn(&[&[f32]], &mut [u16]) -> Result<(), (usize, usize)> + Sync,
) -> Result<(), LabelingError> {
    let mut bands = Vec::new();
    for (x, mut rest) in (start..).zip(labels.outer_iter_mut()) {
        let rows = rest.dim().0;
        for y in (0..rows).step_by(BAND) {
            let (band, after) = rest.split_at(Axis(0), BAND.min(rows - y));
            bands.push((x, y, band));
            rest = after;
        }
    }
    let label_band = |(scratch, row): &mut (RowScratch, Vec<u16>), (x, y, mut band)| {
        let band: &mut ArrayViewMut2<'_, u16> = &mut band;
        let (rows, voxels) = band.dim();
        row.resize(voxels, 0);
        let mut nan = None;
        let neighbors = sampler.neighbors(x).map(|x| plane(x).unwrap_or_default());
        sampler.rows(x, y..y + rows, neighbors, scratch, |at, classes| {
            if let Err((z, class)) = label(classes, row) {
                let voxel = [x, at, z];
                nan.get_or_insert(LabelingError::NotANumber { class, voxel });
            }
            band.row_mut(at - y).assign(&ArrayView1::from(&row[..]));
        });
        nan
    };
    let nan = bands
        .into_par_iter()
        .map_init(Default::default, label_band)
        .find_first(Option::is_some);
    nan.flatten().map_or(Ok(()), Err)
}

/// Labels of a block `[K, X, Y, Z]` that begins at plane `x`.
pub(super) fn labels_at(
    x: usize,
    activation: Activation,
    block: ArrayView4<'_, f32>,
    values: &[u16],
) -> Result<Array3<u16>, PreprocessError> {
    let labels = label_rows(activation, block, values).map_err(|error| match error {
        LabelingError::NotANumber {
            class,
            voxel: [row, y, z],
        } => LabelingError::NotANumber {
            class,
            voxel: [x + row, y, z],
        },
        error @ LabelingError::Table { .. } => error,
    });
    Ok(labels?)
}

/// Labels of a block `[K, X, Y, Z]`, its rows in parallel however few planes it has.
fn label_rows(
    activation: Activation,
    block: ArrayView4<'_, f32>,
    values: &[u16],
) -> Result<Array3<u16>, LabelingError> {
    let (classes, x, y, z) = block.dim();
    let rows = match block.to_shape((classes, x * y, 1, z)) {
        Ok(rows) if x < 2 * rayon::current_num_threads() => rows,
        _ => return activation.labels(block, values),
    };
    let labels = activation
        .labels(rows.view(), values)
        .map_err(|error| match error {
            LabelingError::NotANumber {
                class,
                voxel: [row, _, z],
            } => LabelingError::NotANumber {
                class,
                voxel: [row / y, row % y, z],
            },
            error @ LabelingError::Table { .. } => error,
        })?;
    let (labels, _) = labels.into_raw_vec_and_offset();
    Ok(Array3::from_shape_vec((x, y, z), labels).unwrap_or_default())
}
