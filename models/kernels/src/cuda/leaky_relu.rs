//! Leaky ReLU of a tensor or of a sum, and its gradient.
#![allow(unsafe_code, reason = "launches kernels")]

use super::argument::argument;
use super::backend::{Cuda, CudaTensor};
use super::error::CudaError;
use super::gpu::Gpu;
use super::operation::Operation;
use super::precision::ActivationType;
use crate::reference;

/// Threads of a block.
const THREADS: usize = 256;

/// Most blocks per multiprocessor.
const BLOCKS: usize = 16;

/// The type of tensors of one shape that kernels can take.
fn precision(one: &CudaTensor, other: Option<&CudaTensor>) -> Option<ActivationType> {
    ActivationType::of_values(one).filter(|_| {
        other.is_none_or(|other| {
            other.meta.shape() == one.meta.shape()
                && other.dtype == one.dtype
                && other.device == one.device
        })
    })
}

/// Launches one of the kernels of leaky_relu.cu.
///
/// # Safety
///
/// `buffers` are the addresses of both inputs, of which the second may be null for `leaky_relu_sum`, and of the output;
/// all of `count` values of this type.
unsafe fn launch(
    gpu: &mut Gpu,
    stem: &str,
    precision: ActivationType,
    [one, other, into]: [u64; 3],
    count: usize,
    slope: f32,
) -> Result<(), CudaError> {
    let per_block = THREADS * 16 / precision.bytes();
    let blocks = count
        .div_ceil(per_block)
        .min(BLOCKS * gpu.multiprocessors as usize);
    let kernel = format!("{stem}_{}", precision.name());
    let count = count as u32;
    // SAFETY: the caller's; these are the kernel's parameters.
    unsafe {
        gpu.launch(
            &kernel,
            [blocks as u32, 1, 1],
            THREADS as u32,
            0,
            &mut [
                argument(&one),
                argument(&other),
                argument(&into),
                argument(&count),
                argument(&slope),
            ],
        )
    }
}

pub fn leaky_relu_sum(x: CudaTensor, addend: Option<CudaTensor>, slope: f32) -> CudaTensor {
    assert!(slope >= 0.0, "a leaky ReLU with a slope of {slope}");
    let Some(precision) = precision(&x, addend.as_ref()) else {
        return reference::leaky_relu_sum::<Cuda>(x, addend, slope);
    };
    let mut operation = Operation::beside(&x);
    let (shape, dtype) = (x.meta.shape().clone(), x.dtype);
    let count = shape.num_elements();
    let x = operation.dense(x);
    let addend = addend.map(|addend| operation.dense(addend));
    let (output, y) = operation.output(shape, dtype);
    operation.submit(move |gpu, at| {
        let addend = addend.map_or(0, |addend| at.of(addend));
        let buffers = [at.of(x), addend, at.of(y)];
        // SAFETY: dense buffers of one shape and type.
        unsafe { launch(gpu, "leaky_relu_sum", precision, buffers, count, slope) }
    });
    output
}

pub fn leaky_relu_gradient(output: CudaTensor, gradient: CudaTensor, slope: f32) -> CudaTensor {
    let Some(precision) = precision(&output, Some(&gradient)) else {
        return reference::leaky_relu_gradient::<Cuda>(output, gradient, slope);
    };
    let mut operation = Operation::beside(&output);
    let (shape, dtype) = (output.meta.shape().clone(), output.dtype);
    let count = shape.num_elements();
    let inputs = [output, gradient].map(|tensor| operation.dense(tensor));
    let (input, into) = operation.output(shape, dtype);
    operation.submit(move |gpu, at| {
        let [y, gradient] = inputs.map(|buffer| at.of(buffer));
        let buffers = [y, gradient, at.of(into)];
        // SAFETY: dense buffers of one shape and type.
        unsafe { launch(gpu, "leaky_relu_gradient", precision, buffers, count, slope) }
    });
    input
}
