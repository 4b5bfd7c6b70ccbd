//! Rows at constant indices.
#![allow(unsafe_code, reason = "launches kernels")]

use burn::tensor::DType;

use super::argument::argument;
use super::backend::{Cuda, CudaTensor};
use super::limits::{MOST_BLOCKS, MOST_VALUES};
use super::operation::Operation;
use super::precision::ActivationType;
use super::program::Program;
use super::tensor::axes;
use crate::reference;
use crate::row_gather::{FEW_READERS, RowGather};

/// Threads of a block, as in rows.cu.
const THREADS: usize = 256;

/// Sizes of a gradient; laid out as in rows.cu.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
struct Readers {
    cases: u32,
    rows: u32,
    outputs: u32,
    channels: u32,
    few: u32,
}

/// Cases and channels of `[N, length, C]`, and the type of its values, where a gather to `result` rows per case fits.
fn extent(x: &CudaTensor, length: usize, result: usize) -> Option<([usize; 2], ActivationType)> {
    let precision = ActivationType::of_values(x)?;
    if x.meta.shape().num_dims() != 3 {
        return None;
    }
    let [cases, found, channels] = axes::<3>(x);
    let fits = found == length
        && cases <= MOST_BLOCKS
        && channels.div_ceil(32) <= MOST_BLOCKS
        && cases * result * channels < MOST_VALUES;
    fits.then_some(([cases, channels], precision))
}

fn has_known_indices(gather: &RowGather<CudaTensor>) -> bool {
    [&gather.indices, &gather.offsets, &gather.readers]
        .iter()
        .all(|tensor| tensor.dtype == DType::I32)
}

pub fn gather_rows(x: CudaTensor, gather: &RowGather<CudaTensor>) -> CudaTensor {
    let (rows, outputs) = (gather.rows, gather.outputs);
    let known = extent(&x, rows, outputs).filter(|_| has_known_indices(gather));
    let Some(([cases, channels], precision)) = known else {
        return reference::gather_rows::<Cuda>(x, gather);
    };
    let dtype = x.dtype;
    let mut operation = Operation::beside(&x);
    let x = operation.dense(x);
    let indices = operation.dense(gather.indices.clone());
    let (output, into) = operation.output([cases, outputs, channels], dtype);
    operation.submit(move |gpu, at| {
        let [x, indices, into] = [x, indices, into].map(|buffer| at.of(buffer));
        let row_bytes = channels * precision.bytes();
        let sizes = [16, 8, 4, 2];
        let unit = sizes.into_iter().find(|unit| row_bytes % unit == 0);
        let unit = unit.unwrap_or(2);
        let units = row_bytes / unit;
        let count = (cases * outputs * units) as u32;
        let (rows, outputs, units) = (rows as u32, outputs as u32, units as u32);
        let blocks = count.div_ceil(THREADS as u32).min(64 * gpu.multiprocessors);
        // SAFETY: buffers have the sizes of the tensors' shapes, and indices are below the number of rows.
        unsafe {
            gpu.launch_of(
                Program::Rows,
                &format!("gather_rows_{unit}"),
                [blocks, 1, 1],
                THREADS as u32,
                0,
                &mut [
                    argument(&x),
                    argument(&indices),
                    argument(&into),
                    argument(&count),
                    argument(&rows),
                    argument(&outputs),
                    argument(&units),
                ],
            )
        }
    });
    output
}

pub fn gather_rows_gradient(gradient: CudaTensor, gather: &RowGather<CudaTensor>) -> CudaTensor {
    let (rows, outputs) = (gather.rows, gather.outputs);
    let crowded = gather.offsets.meta.shape().num_elements() - rows - 1;
    let known = extent(&gradient, outputs, rows).filter(|_| has_known_indices(gather));
    let Some(([cases, channels], precision)) = known else {
        return reference::gather_rows_gradient::<Cuda>(gradient, gather);
    };
    let dtype = gradient.dtype;
    let mut operation = Operation::beside(&gradient);
    let gradient = operation.dense(gradient);
    let offsets = operation.dense(gather.offsets.clone());
    let readers = operation.dense(gather.readers.clone());
    let (output, into) = operation.output([cases, rows, channels], dtype);
    operation.submit(move |gpu, at| {
        let [gradient, offsets, readers, into] =
            [gradient, offsets, readers, into].map(|buffer| at.of(buffer));
        let vector = precision.vector();
        let width = if channels % vector == 0 { vector } else { 1 };
        let groups = channels / width;
        let count = (cases * rows * groups) as u32;
        let of = Readers {
            cases: cases as u32,
            rows: rows as u32,
            outputs: outputs as u32,
            channels: channels as u32,
            few: FEW_READERS as u32,
        };
        let lanes = groups.min(32);
        let crowded_grid = [crowded as u32, cases as u32, groups.div_ceil(lanes) as u32];
        let crowded_threads = (THREADS / lanes * lanes) as u32;
        let lanes = lanes as u32;
        let suffix = format!("{}_{width}", precision.name());
        let blocks = count.div_ceil(THREADS as u32).min(64 * gpu.multiprocessors);
        // SAFETY: buffers have the sizes of the tensors' shapes; offsets and readers stay inside them.
        unsafe {
            gpu.launch_of(
                Program::Rows,
                &format!("scatter_rows_{suffix}"),
                [blocks, 1, 1],
                THREADS as u32,
                0,
                &mut [
                    argument(&gradient),
                    argument(&offsets),
                    argument(&readers),
                    argument(&into),
                    argument(&of),
                ],
            )?;
            if crowded == 0 {
                return Ok(());
            }
            gpu.launch_of(
                Program::Rows,
                &format!("crowded_rows_{suffix}"),
                crowded_grid,
                crowded_threads,
                0,
                &mut [
                    argument(&gradient),
                    argument(&offsets),
                    argument(&readers),
                    argument(&into),
                    argument(&of),
                    argument(&lanes),
                ],
            )
        }
    });
    output
}
