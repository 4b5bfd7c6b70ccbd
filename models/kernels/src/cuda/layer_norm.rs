//! Layer normalization and GELU.
#![allow(unsafe_code, reason = "launches kernels")]

use burn::tensor::DType;

use super::argument::argument;
use super::backend::{Cuda, CudaTensor};
use super::limits::MOST_BLOCKS;
use super::operation::Operation;
use super::precision::ActivationType;
use super::program::Program;
use super::tiling::is_parameter;
use crate::reference;
use crate::results::NormGradients;

/// Threads of a block, as in rows.cu.
const THREADS: usize = 256;

/// Target number of blocks that sum over rows, and of rows that each takes at least.
const SUM_BLOCKS: usize = 1024;
const LEAST_ROWS: usize = 64;

/// Rows and their division among threads; laid out as in rows.cu.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
struct Rows {
    rows: u32,
    channels: u32,
    lanes: u32,
    epsilon: f32,
}

/// A normalization that the kernels can compute.
#[derive(Debug, Clone, Copy)]
struct Problem {
    precision: ActivationType,
    rows: usize,
    channels: usize,
    /// Channels that a thread takes at a time.
    width: usize,
    epsilon: f32,
}

impl Problem {
    fn new(x: &CudaTensor, epsilon: f32) -> Option<Self> {
        let precision = ActivationType::of_values(x)?;
        let shape = x.meta.shape();
        let channels = *shape.last()?;
        let vector = precision.vector();
        let width = if channels % vector == 0 { vector } else { 1 };
        let fits = channels.div_ceil(32 * width) <= MOST_BLOCKS;
        fits.then(|| Self {
            precision,
            rows: shape.num_elements() / channels,
            channels,
            width,
            epsilon,
        })
    }

    /// Threads along a row.
    fn lanes(&self) -> usize {
        (self.channels / self.width).next_power_of_two().min(32)
    }

    fn rows(&self) -> Rows {
        Rows {
            rows: self.rows as u32,
            channels: self.channels as u32,
            lanes: self.lanes() as u32,
            epsilon: self.epsilon,
        }
    }

    fn grid(&self) -> [u32; 3] {
        [self.rows.div_ceil(THREADS / self.lanes()) as u32, 1, 1]
    }

    fn kernel(&self, stem: &str) -> String {
        format!("{stem}_{}_{}", self.precision.name(), self.width)
    }
}

pub fn layer_norm(x: CudaTensor, affine: Option<[CudaTensor; 2]>, epsilon: f32) -> CudaTensor {
    let known = Problem::new(&x, epsilon).filter(|problem| {
        let mut parameters = affine.iter().flatten();
        parameters.all(|tensor| is_parameter(tensor, problem.channels))
    });
    let Some(problem) = known else {
        return reference::layer_norm::<Cuda>(x, affine, epsilon);
    };
    let mut operation = Operation::beside(&x);
    let (shape, dtype) = (x.meta.shape().clone(), x.dtype);
    let x = operation.dense(x);
    let affine = affine.map(|affine| affine.map(|tensor| operation.dense(tensor)));
    let (output, y) = operation.output(shape, dtype);
    operation.submit(move |gpu, at| {
        let [x, y] = [x, y].map(|buffer| at.of(buffer));
        let [weight, bias] = affine.map_or([0; 2], |affine| affine.map(|buffer| at.of(buffer)));
        let rows = problem.rows();
        // SAFETY: buffers have the sizes of the tensors' shapes; without parameters the kernel reads none.
        unsafe {
            gpu.launch_of(
                Program::Rows,
                &problem.kernel("layer_norm"),
                problem.grid(),
                THREADS as u32,
                0,
                &mut [
                    argument(&x),
                    argument(&weight),
                    argument(&bias),
                    argument(&y),
                    argument(&rows),
                ],
            )
        }
    });
    output
}

/// Scratch memory, with weight and bias only: 8 bytes per row, and of partial sums 8 bytes per channel and block.
pub fn layer_norm_gradient(
    x: CudaTensor,
    weight: Option<CudaTensor>,
    gradient: CudaTensor,
    epsilon: f32,
) -> NormGradients<Cuda> {
    let known = Problem::new(&x, epsilon).filter(|problem| {
        ActivationType::of_values(&gradient) == Some(problem.precision)
            && gradient.meta.shape() == x.meta.shape()
            && weight
                .iter()
                .all(|tensor| is_parameter(tensor, problem.channels))
    });
    let Some(problem) = known else {
        return reference::layer_norm_gradient::<Cuda>(x, weight, gradient, epsilon);
    };
    let mut operation = Operation::beside(&x);
    let (shape, dtype) = (x.meta.shape().clone(), x.dtype);
    let inputs = [x, gradient].map(|tensor| operation.dense(tensor));
    let weight = weight.map(|weight| operation.dense(weight));
    let (input, into) = operation.output(shape, dtype);
    let sums = weight.map(|_| [0; 2].map(|_| operation.output([problem.channels], DType::F32)));
    let (affine, into_affine) = match sums {
        Some([(weight, to_weight), (bias, to_bias)]) => {
            (Some([weight, bias]), Some([to_weight, to_bias]))
        }
        None => (None, None),
    };
    operation.submit(move |gpu, at| {
        let [x, gradient] = inputs.map(|buffer| at.of(buffer));
        let into = at.of(into);
        let weight = weight.map_or(0, |weight| at.of(weight));
        let groups = problem.channels / problem.width;
        let lanes = groups.min(32);
        let tiles = groups.div_ceil(lanes);
        let parts = (SUM_BLOCKS / tiles).clamp(1, problem.rows.div_ceil(LEAST_ROWS));
        let share = problem.rows.div_ceil(parts);
        let parts = problem.rows.div_ceil(share);
        let rows = problem.rows();
        let [statistics, partials] = match into_affine {
            Some(_) => gpu.scratch([problem.rows * 8, parts * 2 * problem.channels * 4])?,
            None => [0; 2],
        };
        // SAFETY: buffers have the sizes of the tensors' shapes; without a weight, the kernel takes null for weight and
        // statistics.
        unsafe {
            gpu.launch_of(
                Program::Rows,
                &problem.kernel("layer_norm_gradient"),
                problem.grid(),
                THREADS as u32,
                0,
                &mut [
                    argument(&x),
                    argument(&weight),
                    argument(&gradient),
                    argument(&into),
                    argument(&statistics),
                    argument(&rows),
                ],
            )?;
        }
        let Some(into_affine) = into_affine else {
            return Ok(());
        };
        let [to_weight, to_bias] = into_affine.map(|buffer| at.of(buffer));
        let (parts, share) = (parts as u32, share as u32);
        let sums = Rows {
            lanes: lanes as u32,
            ..rows
        };
        let channels = problem.channels as u32;
        let warps = THREADS as u32 / 32;
        // SAFETY: as above; scratch memory has two numbers per row, and two per channel and part.
        unsafe {
            gpu.launch_of(
                Program::Rows,
                &problem.kernel("layer_norm_sums"),
                [parts, tiles as u32, 1],
                (THREADS / lanes * lanes) as u32,
                0,
                &mut [
                    argument(&x),
                    argument(&gradient),
                    argument(&statistics),
                    argument(&partials),
                    argument(&sums),
                    argument(&share),
                ],
            )?;
            gpu.launch_of(
                Program::Rows,
                "combine_layer_sums",
                [(2 * channels).div_ceil(warps), 1, 1],
                THREADS as u32,
                0,
                &mut [
                    argument(&partials),
                    argument(&to_weight),
                    argument(&to_bias),
                    argument(&channels),
                    argument(&parts),
                ],
            )
        }
    });
    NormGradients { input, affine }
}

pub fn gelu(x: CudaTensor) -> CudaTensor {
    let Some(precision) = ActivationType::of_values(&x) else {
        return reference::gelu::<Cuda>(x);
    };
    map("gelu", precision, [x])
}

pub fn gelu_gradient(x: CudaTensor, gradient: CudaTensor) -> CudaTensor {
    let known = ActivationType::of_values(&x).filter(|&precision| {
        ActivationType::of_values(&gradient) == Some(precision)
            && gradient.meta.shape() == x.meta.shape()
    });
    let Some(precision) = known else {
        return reference::gelu_gradient::<Cuda>(x, gradient);
    };
    map("gelu_gradient", precision, [x, gradient])
}

/// A function of the values of tensors of the same shape and type.
fn map<const N: usize>(
    stem: &'static str,
    precision: ActivationType,
    inputs: [CudaTensor; N],
) -> CudaTensor {
    let shape = inputs[0].meta.shape().clone();
    let mut operation = Operation::beside(&inputs[0]);
    let (output, into) = operation.output(shape.clone(), inputs[0].dtype);
    let inputs = inputs.map(|tensor| operation.dense(tensor));
    let count = shape.num_elements() as u32;
    operation.submit(move |gpu, at| {
        let inputs = inputs.map(|buffer| at.of(buffer));
        let into = at.of(into);
        let threads = (count as usize).div_ceil(precision.vector()) as u32;
        let blocks = threads
            .div_ceil(THREADS as u32)
            .min(32 * gpu.multiprocessors);
        let mut arguments: Vec<_> = inputs.iter().map(argument).collect();
        arguments.extend([argument(&into), argument(&count)]);
        // SAFETY: dense buffers of this many values.
        unsafe {
            gpu.launch_of(
                Program::Rows,
                &format!("{stem}_{}", precision.name()),
                [blocks, 1, 1],
                THREADS as u32,
                0,
                &mut arguments,
            )
        }
    });
    output
}
