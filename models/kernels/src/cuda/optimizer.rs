//! The norm of all gradients and the optimizers' steps, many tensors per launch.
#![allow(unsafe_code, reason = "launches kernels")]

use burn::tensor::DType;

use super::argument::argument;
use super::backend::{Cuda, CudaTensor};
use super::operation::{Buffer, Operation};
use super::tensor::is_single;
use crate::optimizer::{AdamWStep, Moments, SgdStep, Velocity};
use crate::reference;

/// Tensors of a launch, as in optimizer.cu.
const TENSORS: usize = 90;

/// Values that a block takes, as in optimizer.cu.
const BLOCK_VALUES: usize = 4096;

/// Threads of a block.
const THREADS: u32 = 256;

/// Threads of the block that adds up all partial sums.
const COMBINE_THREADS: u32 = 1024;

/// A tensor of a launch, or up to four of a parameter; laid out as in optimizer.cu.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
struct Listed {
    at: [u64; 4],
    count: u32,
    first: u32,
}

/// The tensors of a launch; laid out as in optimizer.cu.
#[repr(C)]
struct Tensors {
    listed: [Listed; TENSORS],
    count: u32,
}

impl Tensors {
    /// All needed launches, each with its number of blocks.
    fn launches(all: &[([u64; 4], usize)]) -> Vec<(Self, u32)> {
        all.chunks(TENSORS)
            .map(|chunk| {
                let mut listed = [Listed::default(); TENSORS];
                let mut first = 0;
                for (own, &(at, count)) in listed.iter_mut().zip(chunk) {
                    *own = Listed {
                        at,
                        count: count as u32,
                        first,
                    };
                    first += count.div_ceil(BLOCK_VALUES) as u32;
                }
                let count = chunk.len() as u32;
                (Self { listed, count }, first)
            })
            .collect()
    }
}

pub fn squared_norm(tensors: &[CudaTensor]) -> CudaTensor {
    let Some(one) = tensors.first() else {
        return reference::squared_norm::<Cuda>(tensors);
    };
    let known = |tensor: &CudaTensor| is_single(tensor) && tensor.device == one.device;
    if !tensors.iter().all(known) {
        return reference::squared_norm::<Cuda>(tensors);
    }
    let mut operation = Operation::beside(one);
    let buffers: Vec<(Buffer, usize)> = tensors
        .iter()
        .map(|tensor| {
            let count = tensor.meta.shape().num_elements();
            (operation.dense(tensor.clone()), count)
        })
        .collect();
    let (output, into) = operation.output([1], DType::F32);
    operation.submit(move |gpu, at| {
        let listed: Vec<_> = buffers
            .iter()
            .map(|&(buffer, count)| ([at.of(buffer), 0, 0, 0], count))
            .collect();
        let launches = Tensors::launches(&listed);
        let count: u32 = launches.iter().map(|(_, blocks)| blocks).sum();
        let [partials] = gpu.scratch([4 * count as usize])?;
        let into = at.of(into);
        let mut base: u32 = 0;
        for (tensors, blocks) in &launches {
            let mut arguments = [argument(tensors), argument(&partials), argument(&base)];
            // SAFETY: dense buffers of the counts listed, and a partial sum per block.
            unsafe { gpu.launch("square", [*blocks, 1, 1], THREADS, 0, &mut arguments)? };
            base += blocks;
        }
        let mut arguments = [argument(&partials), argument(&into), argument(&count)];
        // SAFETY: a partial sum per block, and one value to write.
        unsafe {
            gpu.launch(
                "combine_squares",
                [1, 1, 1],
                COMBINE_THREADS,
                0,
                &mut arguments,
            )
        }
    });
    output
}

/// A step's factors; laid out as in optimizer.cu.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
struct Step {
    kept: f32,
    rate: f32,
    decays: [f32; 2],
    corrections: [f32; 2],
    epsilon: f32,
    gradient_factor: f32,
    /// Infinite where there is no limit.
    max_norm: f32,
}

/// Whether the tensors of all parameters, each of one size, and the guard are ones that the kernels know, on one device.
fn are_known<'a, const N: usize>(
    mut parameters: impl Iterator<Item = [&'a CudaTensor; N]>,
    guard: Option<&CudaTensor>,
    one: &CudaTensor,
) -> bool {
    let known = |tensor: &CudaTensor| is_single(tensor) && tensor.device == one.device;
    let elements = |tensor: &CudaTensor| tensor.meta.shape().num_elements();
    parameters.all(|tensors| {
        let mut tensors = tensors.into_iter();
        let count = tensors.clone().next().map(elements);
        tensors.all(|tensor| known(tensor) && Some(elements(tensor)) == count)
    }) && guard.is_none_or(known)
}

/// Updates known parameters with their states, `[weights, states ..]`, by their gradients.
///
/// The kernel gets weights, gradient and states of each tensor, in this order, then the step's `factors` and the guard.
fn update<const N: usize, F: Copy + Send + 'static>(
    kernel: &'static str,
    parameters: impl Iterator<Item = ([CudaTensor; N], CudaTensor)>,
    factors: F,
    guard: Option<CudaTensor>,
    mut operation: Operation,
) -> Vec<[CudaTensor; N]> {
    let guard = guard.map(|guard| operation.dense(guard));
    let mut buffers = Vec::new();
    let mut updated = Vec::new();
    for (kept, gradient) in parameters {
        let count = gradient.meta.shape().num_elements();
        let gradient = operation.dense(gradient);
        let kept = kept.map(|tensor| operation.writable(tensor));
        buffers.push((gradient, kept.each_ref().map(|&(_, buffer)| buffer), count));
        updated.push(kept.map(|(tensor, _)| tensor));
    }
    operation.submit(move |gpu, at| {
        let listed: Vec<_> = buffers
            .iter()
            .map(|&(gradient, kept, count)| {
                let mut own = [0; 4];
                let [weights, states @ ..] = &kept[..] else {
                    return (own, 0);
                };
                let ordered = [weights, &gradient].into_iter().chain(states);
                for (own, &buffer) in own.iter_mut().zip(ordered) {
                    *own = at.of(buffer);
                }
                (own, count)
            })
            .collect();
        let guard = guard.map_or(0, |guard| at.of(guard));
        for (tensors, blocks) in &Tensors::launches(&listed) {
            let mut arguments = [argument(tensors), argument(&factors), argument(&guard)];
            // SAFETY: dense buffers of the counts listed, each written by this operation alone; the factors are laid out as
            // the kernel's.
            unsafe { gpu.launch(kernel, [*blocks, 1, 1], THREADS, 0, &mut arguments)? };
        }
        Ok(())
    });
    updated
}

pub fn adamw(
    parameters: Vec<Moments<Cuda>>,
    step: AdamWStep,
    guard: Option<CudaTensor>,
) -> Vec<[CudaTensor; 3]> {
    let Some(one) = parameters.first().map(|one| &one.weights) else {
        return Vec::new();
    };
    let tensors = parameters
        .iter()
        .map(|own| [&own.weights, &own.gradient, &own.first, &own.second]);
    if !are_known(tensors, guard.as_ref(), one) {
        return reference::adamw::<Cuda>(parameters, step, guard);
    }
    let factors = Step {
        kept: 1.0 - step.rate * step.decay,
        rate: step.rate,
        decays: step.betas,
        corrections: step.corrections(),
        epsilon: step.epsilon,
        gradient_factor: step.gradient_factor,
        max_norm: step.max_norm.unwrap_or(f32::INFINITY),
    };
    let operation = Operation::beside(one);
    let parameters = parameters.into_iter().map(|own| {
        let kept = [own.weights, own.first, own.second];
        (kept, own.gradient)
    });
    update("adamw", parameters, factors, guard, operation)
}

/// A step's factors; laid out as in optimizer.cu.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
struct Descent {
    rate: f32,
    momentum: f32,
    decay: f32,
    gradient_factor: f32,
    /// Infinite where there is no limit.
    max_norm: f32,
}

pub fn sgd(
    parameters: Vec<Velocity<Cuda>>,
    step: SgdStep,
    guard: Option<CudaTensor>,
) -> Vec<[CudaTensor; 2]> {
    let Some(one) = parameters.first().map(|one| &one.weights) else {
        return Vec::new();
    };
    let tensors = parameters
        .iter()
        .map(|own| [&own.weights, &own.gradient, &own.velocity]);
    if !are_known(tensors, guard.as_ref(), one) {
        return reference::sgd::<Cuda>(parameters, step, guard);
    }
    let factors = Descent {
        rate: step.rate,
        momentum: step.momentum,
        decay: step.decay,
        gradient_factor: step.gradient_factor,
        max_norm: step.max_norm.unwrap_or(f32::INFINITY),
    };
    let operation = Operation::beside(one);
    let parameters = parameters
        .into_iter()
        .map(|own| ([own.weights, own.velocity], own.gradient));
    update("sgd", parameters, factors, guard, operation)
}
