//! Instance normalization, and sums over voxels.
#![allow(unsafe_code, reason = "launches kernels")]

use burn::tensor::DType;

use super::argument::argument;
use super::backend::{Cuda, CudaTensor};
use super::error::CudaError;
use super::gpu::Gpu;
use super::limits::MOST_BLOCKS;
use super::operation::{Addresses, Buffer, Operation};
use super::precision::ActivationType;
use super::tensor::axes;
use super::tiling::{COMBINE_THREADS, LaunchGrid, combine_blocks, extent, is_parameter};
use crate::nonlinearity::Nonlinearity;
use crate::reference;
use crate::results::{NormGradients, Normalized};

pub fn instance_norm(
    x: CudaTensor,
    affine: Option<[CudaTensor; 2]>,
    epsilon: f32,
    nonlinearity: Nonlinearity,
) -> Normalized<Cuda> {
    let known = ActivationType::of(&x).filter(|_| {
        let [.., channels] = extent(&x);
        let mut affine = affine.iter().flatten();
        channels <= MOST_BLOCKS && affine.all(|tensor| is_parameter(tensor, channels))
    });
    let Some(precision) = known else {
        return reference::instance_norm::<Cuda>(x, affine, epsilon, nonlinearity);
    };
    let extent @ [cases, voxels, channels] = extent(&x);
    let mut operation = Operation::beside(&x);
    let (shape, dtype) = (x.meta.shape().clone(), x.dtype);
    let x = operation.dense(x);
    let affine = affine.map(|affine| affine.map(|tensor| operation.dense(tensor)));
    let (output, y) = operation.output(shape, dtype);
    let (statistics, kept) = operation.output([cases, 2, channels], DType::F32);
    operation.submit(move |gpu, at| {
        let grid = LaunchGrid::new(gpu.multiprocessors, precision, extent, nonlinearity);
        let [partials] = gpu.scratch([grid.partial_bytes()])?;
        let [x, y, kept] = [x, y, kept].map(|buffer| at.of(buffer));
        let [weight, bias] = or_null(affine, at);
        let (voxels, channels, chunks) = (voxels as u32, channels as u32, grid.blocks[0]);
        let combine = format!("combine_moments_{}", precision.name());
        let combine_grid = [combine_blocks(channels as usize), cases as u32, 1];
        // SAFETY: buffers have the sizes of the tensors' shapes, partial sums the size of the grid.
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
                combine_grid,
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
            normalize(gpu, &grid, [x, y, kept, weight, bias])
        }
    });
    Normalized { output, statistics }
}

/// Addresses of a pair of buffers, null where there are none.
fn or_null(pair: Option<[Buffer; 2]>, at: &Addresses) -> [u64; 2] {
    pair.map_or([0, 0], |pair| pair.map(|buffer| at.of(buffer)))
}

/// Normalizes by statistics and applies weight, bias and nonlinearity.
///
/// # Safety
///
/// `buffers` are the addresses of input and output of the grid's extent, of its mean and inverse deviation per case and
/// channel, and of weight and bias, both null where there are none.
pub unsafe fn normalize(
    gpu: &mut Gpu,
    grid: &LaunchGrid,
    [input, output, statistics, weight, bias]: [u64; 5],
) -> Result<(), CudaError> {
    // SAFETY: the caller's; these are the kernel's parameters.
    unsafe {
        gpu.launch(
            &grid.kernel("normalize"),
            grid.blocks,
            grid.threads,
            0,
            &mut [
                argument(&input),
                argument(&output),
                argument(&statistics),
                argument(&weight),
                argument(&bias),
                argument(&grid.tiling),
            ],
        )
    }
}

pub fn instance_norm_gradient(
    x: CudaTensor,
    statistics: CudaTensor,
    affine: Option<[CudaTensor; 2]>,
    gradient: CudaTensor,
    nonlinearity: Nonlinearity,
) -> NormGradients<Cuda> {
    let known = ActivationType::of(&x).filter(|&precision| {
        let [cases, _, channels] = extent(&x);
        channels <= MOST_BLOCKS
            && ActivationType::of(&gradient) == Some(precision)
            && axes::<5>(&gradient) == axes::<5>(&x)
            && affine
                .iter()
                .flatten()
                .all(|tensor| is_parameter(tensor, channels))
            && is_parameter(&statistics, cases * 2 * channels)
    });
    let Some(precision) = known else {
        return reference::instance_norm_gradient::<Cuda>(
            x,
            statistics,
            affine,
            gradient,
            nonlinearity,
        );
    };
    let extent @ [cases, voxels, channels] = extent(&x);
    let mut operation = Operation::beside(&x);
    let (shape, dtype) = (x.meta.shape().clone(), x.dtype);
    let inputs = [x, gradient, statistics].map(|tensor| operation.dense(tensor));
    let affine = affine.map(|affine| affine.map(|tensor| operation.dense(tensor)));
    let (input, to_input) = operation.output(shape, dtype);
    let learned = affine.map(|_| [0; 2].map(|_| operation.output([channels], DType::F32)));
    let to_affine = learned
        .as_ref()
        .map(|learned| learned.each_ref().map(|&(_, buffer)| buffer));
    operation.submit(move |gpu, at| {
        let grid = LaunchGrid::new(gpu.multiprocessors, precision, extent, nonlinearity);
        let [partials, means] = gpu.scratch([grid.partial_bytes(), cases * 2 * channels * 4])?;
        let [x, gradient, statistics] = inputs.map(|buffer| at.of(buffer));
        let [weight, bias] = or_null(affine, at);
        let [to_weight, to_bias] = or_null(to_affine, at);
        let to_input = at.of(to_input);
        let (cases, voxels, channels) = (cases as u32, voxels as u32, channels as u32);
        let chunks = grid.blocks[0];
        // SAFETY: buffers have the sizes of the tensors' shapes, partial sums the size of the grid.
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
                [combine_blocks(channels as usize), 1, 1],
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
        affine: learned.map(|learned| learned.map(|(gradient, _)| gradient)),
    }
}

pub fn bias_gradient(gradient: CudaTensor) -> CudaTensor {
    let Some(precision) = ActivationType::of(&gradient) else {
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
        let grid = LaunchGrid::new(
            gpu.multiprocessors,
            precision,
            extent,
            Nonlinearity::Identity,
        );
        let [partials] = gpu.scratch([grid.partial_bytes()])?;
        let (gradient, into) = (at.of(gradient), at.of(into));
        let (channels, chunks) = (channels as u32, grid.blocks[0]);
        // SAFETY: buffers have the sizes of the tensors' shapes, partial sums the size of the grid.
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
                [combine_blocks(channels as usize), 1, 1],
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
