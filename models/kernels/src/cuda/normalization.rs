//! Instance normalization, and sums over voxels.
#![allow(unsafe_code, reason = "launches kernels")]

use burn::tensor::DType;

use super::argument::argument;
use super::backend::{Cuda, CudaTensor};
use super::limits::MOST_BLOCKS;
use super::operation::Operation;
use super::precision::Precision;
use super::tensor::{axes, is_single};
use crate::nonlinearity::Nonlinearity;
use crate::reference;
use crate::results::{NormGradients, Normalized};

/// Threads of a block, as in channels.cu.
const THREADS: usize = 256;

/// Threads of a block that combines partial sums, as in combine.cu.
const COMBINE_THREADS: u32 = 512;

/// Channels that such a block combines.
const COMBINE_CHANNELS: usize = 32;

/// Blocks wanted per multiprocessor.
const BLOCKS: usize = 8;

/// How voxels and channels are shared among blocks; laid out as in channels.cu.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
struct Tiling {
    voxels: u32,
    channels: u32,
    lanes: u32,
    chunk: u32,
    floor: f32,
}

/// A tiling and the launches that belong to it.
struct Grid {
    tiling: Tiling,
    blocks: [u32; 3],
    threads: u32,
    /// End of the names of its kernels.
    suffix: String,
}

impl Grid {
    fn new(
        multiprocessors: u32,
        precision: Precision,
        [cases, voxels, channels]: [usize; 3],
        nonlinearity: Nonlinearity,
    ) -> Self {
        let vector = 16 / precision.bytes();
        let width = if channels % vector == 0 { vector } else { 1 };
        let groups = channels / width;
        let columns = groups.div_ceil(32);
        let lanes = groups.div_ceil(columns);
        let rows = THREADS / lanes;
        let wanted = BLOCKS * multiprocessors as usize / (cases * columns);
        let chunks = wanted.clamp(1, voxels.div_ceil(2 * rows));
        let chunk = voxels.div_ceil(chunks);
        Self {
            tiling: Tiling {
                voxels: voxels as u32,
                channels: channels as u32,
                lanes: lanes as u32,
                chunk: chunk as u32,
                floor: match nonlinearity {
                    Nonlinearity::Identity => f32::NEG_INFINITY,
                    Nonlinearity::Relu => 0.0,
                },
            },
            blocks: [voxels.div_ceil(chunk) as u32, columns as u32, cases as u32],
            threads: (lanes * rows) as u32,
            suffix: format!("{}_{width}", precision.name()),
        }
    }

    fn kernel(&self, stem: &str) -> String {
        format!("{stem}_{}", self.suffix)
    }

    /// Bytes of the partial sums, two per chunk and channel.
    fn partial_bytes(&self) -> usize {
        let [chunks, _, cases] = self.blocks.map(|count| count as usize);
        cases * chunks * 2 * self.tiling.channels as usize * 4
    }
}

/// Cases, voxels and channels.
fn extent(activations: &CudaTensor) -> [usize; 3] {
    let [n, x, y, z, c] = axes::<5>(activations);
    [n, x * y * z, c]
}

fn is_parameter(tensor: &CudaTensor, channels: usize) -> bool {
    is_single(tensor) && tensor.meta.shape().num_elements() == channels
}

fn tiles(channels: usize) -> u32 {
    channels.div_ceil(COMBINE_CHANNELS) as u32
}

pub fn instance_norm(
    x: CudaTensor,
    weight: CudaTensor,
    bias: CudaTensor,
    epsilon: f32,
    nonlinearity: Nonlinearity,
) -> Normalized<Cuda> {
    let known = Precision::of(&x).filter(|_| {
        let [.., channels] = extent(&x);
        channels <= MOST_BLOCKS && is_parameter(&weight, channels) && is_parameter(&bias, channels)
    });
    let Some(precision) = known else {
        return reference::instance_norm::<Cuda>(x, weight, bias, epsilon, nonlinearity);
    };
    let extent @ [cases, voxels, channels] = extent(&x);
    let mut operation = Operation::beside(&x);
    let (shape, dtype) = (x.meta.shape().clone(), x.dtype);
    let x = operation.dense(x);
    let weight = operation.dense(weight);
    let bias = operation.dense(bias);
    let (output, y) = operation.output(shape, dtype);
    let (statistics, kept) = operation.output([cases, 2, channels], DType::F32);
    operation.submit(move |gpu, at| {
        let grid = Grid::new(gpu.multiprocessors, precision, extent, nonlinearity);
        let [partials] = gpu.scratch([grid.partial_bytes()])?;
        let [x, y, kept, weight, bias] = [x, y, kept, weight, bias].map(|buffer| at.of(buffer));
        let (voxels, channels, chunks) = (voxels as u32, channels as u32, grid.blocks[0]);
        let combine = format!("combine_moments_{}", precision.name());
        let combine_blocks = [tiles(channels as usize), cases as u32, 1];
        // SAFETY: buffers hold what the shapes of the tensors say, partial sums what the grid says.
        unsafe {
            gpu.launch(
                &grid.kernel("moments"),
                grid.blocks,
                grid.threads,
                0,
                &mut [argument(&x), argument(&partials), argument(&grid.tiling)],
            )?;
            gpu.launch(
                &combine,
                combine_blocks,
                COMBINE_THREADS,
                0,
                &mut [
                    argument(&x),
                    argument(&partials),
                    argument(&kept),
                    argument(&voxels),
                    argument(&channels),
                    argument(&chunks),
                    argument(&epsilon),
                ],
            )?;
            gpu.launch(
                &grid.kernel("normalize"),
                grid.blocks,
                grid.threads,
                0,
                &mut [
                    argument(&x),
                    argument(&y),
                    argument(&kept),
                    argument(&weight),
                    argument(&bias),
                    argument(&grid.tiling),
                ],
            )
        }
    });
    Normalized { output, statistics }
}

pub fn instance_norm_gradient(
    x: CudaTensor,
    statistics: CudaTensor,
    weight: CudaTensor,
    bias: CudaTensor,
    gradient: CudaTensor,
    nonlinearity: Nonlinearity,
) -> NormGradients<Cuda> {
    let known = Precision::of(&x).filter(|&precision| {
        let [cases, _, channels] = extent(&x);
        channels <= MOST_BLOCKS
            && Precision::of(&gradient) == Some(precision)
            && axes::<5>(&gradient) == axes::<5>(&x)
            && is_parameter(&weight, channels)
            && is_parameter(&bias, channels)
            && is_parameter(&statistics, cases * 2 * channels)
    });
    let Some(precision) = known else {
        return reference::instance_norm_gradient::<Cuda>(
            x,
            statistics,
            weight,
            bias,
            gradient,
            nonlinearity,
        );
    };
    let extent @ [cases, voxels, channels] = extent(&x);
    let mut operation = Operation::beside(&x);
    let (shape, dtype) = (x.meta.shape().clone(), x.dtype);
    let inputs = [x, gradient, statistics, weight, bias].map(|tensor| operation.dense(tensor));
    let (input, to_input) = operation.output(shape, dtype);
    let (weight, to_weight) = operation.output([channels], DType::F32);
    let (bias, to_bias) = operation.output([channels], DType::F32);
    operation.submit(move |gpu, at| {
        let grid = Grid::new(gpu.multiprocessors, precision, extent, nonlinearity);
        let [partials, means] = gpu.scratch([grid.partial_bytes(), cases * 2 * channels * 4])?;
        let [x, gradient, statistics, weight, bias] = inputs.map(|buffer| at.of(buffer));
        let [to_input, to_weight, to_bias] =
            [to_input, to_weight, to_bias].map(|buffer| at.of(buffer));
        let (cases, voxels, channels) = (cases as u32, voxels as u32, channels as u32);
        let chunks = grid.blocks[0];
        // SAFETY: buffers hold what the shapes of the tensors say, partial sums what the grid says.
        unsafe {
            gpu.launch(
                &grid.kernel("gradient_sums"),
                grid.blocks,
                grid.threads,
                0,
                &mut [
                    argument(&x),
                    argument(&gradient),
                    argument(&statistics),
                    argument(&weight),
                    argument(&bias),
                    argument(&partials),
                    argument(&grid.tiling),
                ],
            )?;
            gpu.launch(
                "combine_gradient",
                [tiles(channels as usize), 1, 1],
                COMBINE_THREADS,
                0,
                &mut [
                    argument(&partials),
                    argument(&means),
                    argument(&to_weight),
                    argument(&to_bias),
                    argument(&cases),
                    argument(&voxels),
                    argument(&channels),
                    argument(&chunks),
                ],
            )?;
            gpu.launch(
                &grid.kernel("gradient_input"),
                grid.blocks,
                grid.threads,
                0,
                &mut [
                    argument(&x),
                    argument(&gradient),
                    argument(&to_input),
                    argument(&statistics),
                    argument(&weight),
                    argument(&bias),
                    argument(&means),
                    argument(&grid.tiling),
                ],
            )
        }
    });
    NormGradients {
        input,
        weight,
        bias,
    }
}

pub fn bias_gradient(gradient: CudaTensor) -> CudaTensor {
    let Some(precision) = Precision::of(&gradient) else {
        return reference::bias_gradient::<Cuda>(gradient);
    };
    let [cases, voxels, channels] = extent(&gradient);
    if channels > MOST_BLOCKS {
        return reference::bias_gradient::<Cuda>(gradient);
    }
    let mut operation = Operation::beside(&gradient);
    let gradient = operation.dense(gradient);
    let (output, into) = operation.output([channels], DType::F32);
    operation.submit(move |gpu, at| {
        let extent = [1, cases * voxels, channels];
        let grid = Grid::new(
            gpu.multiprocessors,
            precision,
            extent,
            Nonlinearity::Identity,
        );
        let [partials] = gpu.scratch([grid.partial_bytes()])?;
        let (gradient, into) = (at.of(gradient), at.of(into));
        let (channels, chunks) = (channels as u32, grid.blocks[0]);
        // SAFETY: buffers hold what the shapes of the tensors say, partial sums what the grid says.
        unsafe {
            gpu.launch(
                &grid.kernel("totals"),
                grid.blocks,
                grid.threads,
                0,
                &mut [
                    argument(&gradient),
                    argument(&partials),
                    argument(&grid.tiling),
                ],
            )?;
            gpu.launch(
                "combine_totals",
                [tiles(channels as usize), 1, 1],
                COMBINE_THREADS,
                0,
                &mut [
                    argument(&partials),
                    argument(&into),
                    argument(&channels),
                    argument(&chunks),
                ],
            )
        }
    });
    output
}
