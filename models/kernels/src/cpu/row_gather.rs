//! Rows at constant indices.

use burn::tensor::DType;
use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::dense;
use crate::row_gather::RowGather;

/// Values per task, about.
const CHUNK: usize = 1 << 14;

/// Whether the indices are of the type that these functions read.
pub fn is_known(gather: &RowGather<FlexTensor>) -> bool {
    [&gather.indices, &gather.offsets, &gather.readers]
        .iter()
        .all(|tensor| tensor.dtype() == DType::I32)
}

pub fn gather_rows(x: FlexTensor, gather: &RowGather<FlexTensor>) -> FlexTensor {
    let [cases, rows, channels] = dense::shape::<3>(&x);
    let x = x.to_contiguous();
    let values: &[f32] = x.storage();
    let indices: &[i32] = gather.indices.storage();
    let outputs = gather.outputs;
    let mut output = dense::zeros(cases * outputs * channels);
    let in_task = CHUNK.div_ceil(channels);
    output
        .par_chunks_mut(in_task * channels)
        .enumerate()
        .for_each(|(task, output)| {
            for (place, output) in (task * in_task..).zip(output.chunks_exact_mut(channels)) {
                let row = place / outputs * rows + indices[place % outputs] as usize;
                output.copy_from_slice(&values[row * channels..(row + 1) * channels]);
            }
        });
    dense::tensor(output, [cases, outputs, channels])
}

pub fn gather_rows_gradient(gradient: FlexTensor, gather: &RowGather<FlexTensor>) -> FlexTensor {
    let [cases, outputs, channels] = dense::shape::<3>(&gradient);
    let gradient = gradient.to_contiguous();
    let values: &[f32] = gradient.storage();
    let (offsets, readers): (&[i32], &[i32]) = (gather.offsets.storage(), gather.readers.storage());
    let rows = gather.rows;
    let mut output = dense::zeros(cases * rows * channels);
    let in_task = CHUNK.div_ceil(channels);
    output
        .par_chunks_mut(in_task * channels)
        .enumerate()
        .for_each(|(task, output)| {
            for (place, output) in (task * in_task..).zip(output.chunks_exact_mut(channels)) {
                let (case, row) = (place / rows, place % rows);
                let own = offsets[row] as usize..offsets[row + 1] as usize;
                for &reader in &readers[own] {
                    let from = (case * outputs + reader as usize) * channels;
                    for (sum, value) in output.iter_mut().zip(&values[from..from + channels]) {
                        *sum += value;
                    }
                }
            }
        });
    dense::tensor(output, [cases, rows, channels])
}
