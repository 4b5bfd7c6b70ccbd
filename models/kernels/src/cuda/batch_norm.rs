//! Batch normalization by running statistics, and their updates.
#![allow(unsafe_code, reason = "launches kernels")]

use burn::tensor::DType;

use super::argument::argument;
use super::backend::{Cuda, CudaTensor};
use super::limits::MOST_BLOCKS;
use super::normalization::normalize;
use super::operation::Operation;
use super::precision::ActivationType;
use super::tiling::{LaunchGrid, extent, is_parameter};
use crate::batch_norm::{BatchNormSettings, bessel_correction};
use crate::nonlinearity::Nonlinearity;
use crate::reference;

/// Threads of a block with one channel each.
const THREADS: u32 = 256;

pub fn batch_norm_inference(
    x: CudaTensor,
    running: [CudaTensor; 2],
    weight: CudaTensor,
    bias: CudaTensor,
    epsilon: f32,
    nonlinearity: Nonlinearity,
) -> CudaTensor {
    let known = ActivationType::of(&x).filter(|_| {
        let [.., channels] = extent(&x);
        let mut parameters = running.iter().chain([&weight, &bias]);
        channels <= MOST_BLOCKS && parameters.all(|tensor| is_parameter(tensor, channels))
    });
    let Some(precision) = known else {
        return reference::batch_norm_inference::<Cuda>(
            x,
            running,
            weight,
            bias,
            epsilon,
            nonlinearity,
        );
    };
    let [cases, voxels, channels] = extent(&x);
    let mut operation = Operation::beside(&x);
    let (shape, dtype) = (x.meta.shape().clone(), x.dtype);
    let [mean, variance] = running;
    let inputs = [x, mean, variance, weight, bias].map(|tensor| operation.dense(tensor));
    let (output, y) = operation.output(shape, dtype);
    operation.submit(move |gpu, at| {
        let extent = [1, cases * voxels, channels];
        let grid = LaunchGrid::new(gpu.multiprocessors, precision, extent, nonlinearity);
        let [statistics] = gpu.scratch([2 * channels * 4])?;
        let [x, mean, variance, weight, bias] = inputs.map(|buffer| at.of(buffer));
        let y = at.of(y);
        let channels = channels as u32;
        // SAFETY: buffers have the sizes of the tensors' shapes, scratch memory two numbers per channel.
        unsafe {
            gpu.launch(
                "running_statistics",
                [channels.div_ceil(THREADS), 1, 1],
                THREADS,
                0,
                &mut [
                    argument(&mean),
                    argument(&variance),
                    argument(&statistics),
                    argument(&channels),
                    argument(&epsilon),
                ],
            )?;
            normalize(gpu, &grid, [x, y, statistics, weight, bias])
        }
    });
    output
}

pub fn update_running(
    running: [CudaTensor; 2],
    statistics: CudaTensor,
    values: usize,
    settings: BatchNormSettings,
) -> [CudaTensor; 2] {
    let channels = running[0].meta.shape().num_elements();
    let known = running.iter().all(|tensor| is_parameter(tensor, channels))
        && is_parameter(&statistics, 2 * channels);
    if !known {
        return reference::update_running::<Cuda>(running, statistics, values, settings);
    }
    let mut operation = Operation::beside(&statistics);
    let [mean, variance] = running;
    let inputs = [statistics, mean, variance].map(|tensor| operation.dense(tensor));
    let (mean, new_mean) = operation.output([channels], DType::F32);
    let (variance, new_variance) = operation.output([channels], DType::F32);
    operation.submit(move |gpu, at| {
        let [statistics, old_mean, old_variance] = inputs.map(|buffer| at.of(buffer));
        let [new_mean, new_variance] = [new_mean, new_variance].map(|buffer| at.of(buffer));
        let channels = channels as u32;
        let BatchNormSettings { epsilon, momentum } = settings;
        let correction = bessel_correction(values);
        // SAFETY: one number per channel in each buffer, two in the statistics.
        unsafe {
            gpu.launch(
                "update_running",
                [channels.div_ceil(THREADS), 1, 1],
                THREADS,
                0,
                &mut [
                    argument(&statistics),
                    argument(&old_mean),
                    argument(&old_variance),
                    argument(&new_mean),
                    argument(&new_variance),
                    argument(&channels),
                    argument(&epsilon),
                    argument(&momentum),
                    argument(&correction),
                ],
            )
        }
    });
    [mean, variance]
}
