//! Convolutions and their gradients.
#![allow(unsafe_code, reason = "launches kernels")]

use std::collections::HashMap;
use std::sync::Mutex;

use burn::tensor::DType;

use super::argument::argument;
use super::backend::{Cuda, CudaTensor};
use super::cudnn::Plan;
use super::error::CudaError;
use super::gpu::Gpu;
use super::limits::MOST_BLOCKS;
use super::operation::{Operation, ask};
use super::precision::ActivationType;
use super::problem::{Direction, Layout, Problem};
use super::tensor::{Strided, axes, is_single};
use super::weights::Weights;
use crate::geometry::ConvGeometry;
use crate::reference;

/// Largest scratch buffer, in bytes, of a plan that is measured beside the recommended one: what was reserved once stays
/// so.
const MOST_SCRATCH_OF_TRIALS: usize = 64 << 20;

/// Whether cuDNN has a plan, by device and problem.
static PLANNED: Mutex<Option<HashMap<(usize, Problem), bool>>> = Mutex::new(None);

pub fn conv(
    x: CudaTensor,
    weight: CudaTensor,
    bias: Option<CudaTensor>,
    geometry: ConvGeometry,
) -> CudaTensor {
    let problem = ActivationType::of(&x).and_then(|precision| {
        let [cases, voxels @ .., c] = axes::<5>(&x);
        let [k, ..] = axes::<5>(&weight);
        let problem = Problem {
            direction: Direction::Forward,
            precision,
            cases,
            channels: [c, k],
            voxels: [voxels, geometry.output_shape(voxels)],
            geometry,
        };
        let fits = |bias: &CudaTensor| is_single(bias) && axes::<1>(bias) == [k];
        let known = are_weights_of(&problem, &weight) && bias.as_ref().is_none_or(fits);
        (known && is_planned(&x, &problem)).then_some(problem)
    });
    let Some(problem) = problem else {
        return reference::conv::<Cuda>(x, weight, bias, geometry);
    };
    let mut operation = Operation::beside(&x);
    let dtype = x.dtype;
    let x = operation.dense(x);
    let weights = Weights::of(&weight);
    let w = operation.strided(&weight);
    let bias = bias.map(|bias| operation.dense(bias));
    let [_, k] = problem.channels;
    let (output, y) = operation.output(problem.activations(1), dtype);
    operation.submit(move |gpu, at| {
        compute(gpu, &problem, &weights, [at.of(x), at.of(w), at.of(y)])?;
        let Some(bias) = bias else { return Ok(()) };
        let voxels = problem.activations(1)[..4].iter().product();
        // SAFETY: the output has `k` channels at each voxel, and one bias per channel.
        unsafe { add_bias(gpu, problem.precision, at.of(y), at.of(bias), [voxels, k]) }
    });
    output
}

/// Adds a bias to each row.
///
/// # Safety
///
/// `y` must have this shape, and `bias` as many values as a row.
pub unsafe fn add_bias(
    gpu: &mut Gpu,
    precision: ActivationType,
    y: u64,
    bias: u64,
    [rows, channels]: [usize; 2],
) -> Result<(), CudaError> {
    let (count, channels) = ((rows * channels) as u32, channels as u32);
    let kernel = format!("add_bias_{}", precision.name());
    let blocks = count.div_ceil(256).min(16 * gpu.multiprocessors);
    let mut arguments = [
        argument(&y),
        argument(&bias),
        argument(&count),
        argument(&channels),
    ];
    // SAFETY: promised by the caller.
    unsafe { gpu.launch(&kernel, [blocks, 1, 1], 256, 0, &mut arguments) }
}

pub fn input_gradient(
    gradient: CudaTensor,
    weight: CudaTensor,
    input_shape: [usize; 3],
    geometry: ConvGeometry,
) -> CudaTensor {
    let problem = ActivationType::of(&gradient).and_then(|precision| {
        let [cases, voxels @ .., k] = axes::<5>(&gradient);
        let [_, c, ..] = axes::<5>(&weight);
        let problem = Problem {
            direction: Direction::InputGradient,
            precision,
            cases,
            channels: [c, k],
            voxels: [input_shape, voxels],
            geometry,
        };
        let known =
            are_weights_of(&problem, &weight) && geometry.output_shape(input_shape) == voxels;
        (known && is_planned(&gradient, &problem)).then_some(problem)
    });
    let Some(problem) = problem else {
        return reference::conv_input_gradient::<Cuda>(gradient, weight, input_shape, geometry);
    };
    let mut operation = Operation::beside(&gradient);
    let dtype = gradient.dtype;
    let y = operation.dense(gradient);
    let weights = Weights::of(&weight);
    let w = operation.strided(&weight);
    let (output, x) = operation.output(problem.activations(0), dtype);
    operation
        .submit(move |gpu, at| compute(gpu, &problem, &weights, [at.of(x), at.of(w), at.of(y)]));
    output
}

pub fn weight_gradient(x: CudaTensor, gradient: CudaTensor, geometry: ConvGeometry) -> CudaTensor {
    let problem = ActivationType::of(&x).and_then(|precision| {
        let [cases, voxels @ .., c] = axes::<5>(&x);
        let [own_cases, output @ .., k] = axes::<5>(&gradient);
        let problem = Problem {
            direction: Direction::WeightGradient,
            precision,
            cases,
            channels: [c, k],
            voxels: [voxels, output],
            geometry,
        };
        let known = ActivationType::of(&gradient) == Some(precision)
            && own_cases == cases
            && geometry.output_shape(voxels) == output;
        (known && is_planned(&x, &problem)).then_some(problem)
    });
    let Some(problem) = problem else {
        return reference::conv_weight_gradient::<Cuda>(x, gradient, geometry);
    };
    let mut operation = Operation::beside(&x);
    let x = operation.dense(x);
    let y = operation.dense(gradient);
    let [c, k] = problem.channels;
    let [kx, ky, kz] = geometry.kernel;
    let (output, w) = operation.output([k, c, kx, ky, kz], DType::F32);
    let weights = Weights::of(&output);
    operation
        .submit(move |gpu, at| compute(gpu, &problem, &weights, [at.of(x), at.of(w), at.of(y)]));
    output
}

fn are_weights_of(problem: &Problem, weight: &CudaTensor) -> bool {
    let [c, k] = problem.channels;
    let [x, y, z] = problem.geometry.kernel;
    is_single(weight) && axes::<5>(weight) == [k, c, x, y, z]
}

fn is_planned(on: &CudaTensor, problem: &Problem) -> bool {
    let fits = |side| (1..1 << 31).contains(&problem.activations(side).iter().product::<usize>());
    if !fits(0) || !fits(1) || problem.channels[1] > MOST_BLOCKS {
        return false;
    }
    let mut planned = PLANNED.lock().unwrap_or_else(|poison| poison.into_inner());
    let planned = planned.get_or_insert_default();
    *planned
        .entry((on.device.index, *problem))
        .or_insert_with(|| ask(&on.device, |gpu| Ok(gpu.cudnn()?.plan(problem).is_some())))
}

/// Launches a convolution, with the fastest plan, or the next best where one fails.
///
/// Input and output are dense; `weights` describes the layout of weights that are read.
fn compute(
    gpu: &mut Gpu,
    problem: &Problem,
    weights: &Weights,
    buffers: [u64; 3],
) -> Result<(), CudaError> {
    if let Some(plans) = gpu.cudnn()?.unmeasured(problem) {
        let mut best = f32::INFINITY;
        let mut times = Vec::with_capacity(plans.len());
        for plan in plans {
            let bytes = plan.scratch + weights.count() * problem.precision.bytes();
            let fits = times.is_empty() || bytes <= MOST_SCRATCH_OF_TRIALS.max(gpu.scratch_bytes());
            // A plan that fails is found out again, and discarded, when it is needed.
            let time = match fits {
                true => {
                    measure(gpu, problem, &plan, weights, buffers, best).unwrap_or(f32::INFINITY)
                }
                false => f32::INFINITY,
            };
            best = best.min(time);
            times.push(time);
        }
        gpu.cudnn()?.rank(problem, &times);
    }
    loop {
        let plan = gpu.cudnn()?.plan(problem).ok_or(CudaError::NoAlgorithm)?;
        match compute_by(gpu, problem, &plan, weights, buffers) {
            Err(CudaError::CudnnCall(_)) if gpu.cudnn()?.discard(problem) => {}
            outcome => return outcome,
        }
    }
}

/// Milliseconds of a convolution: of the faster of two runs after a first one, which alone counts where it takes far longer
/// than the best so far.
fn measure(
    gpu: &mut Gpu,
    problem: &Problem,
    plan: &Plan,
    weights: &Weights,
    buffers: [u64; 3],
    best: f32,
) -> Result<f32, CudaError> {
    let mut run = || gpu.milliseconds(|gpu| compute_by(gpu, problem, plan, weights, buffers));
    let first = run()?;
    if first > 10.0 * best {
        return Ok(first);
    }
    let second = run()?;
    Ok(second.min(run()?))
}

fn compute_by(
    gpu: &mut Gpu,
    problem: &Problem,
    plan: &Plan,
    weights: &Weights,
    [x, w, y]: [u64; 3],
) -> Result<(), CudaError> {
    let turns = plan.layout == Layout::ChannelsFirst;
    let turned = |side| if turns { problem.bytes(side) } else { 0 };
    let packed = weights.count() * problem.precision.bytes();
    let [scratch, packed, turned_x, turned_y] =
        gpu.scratch([plan.scratch, packed, turned(0), turned(1)])?;
    let kernel = match problem.precision {
        ActivationType::Half => "copy_2",
        ActivationType::Single => "copy_4",
    };
    let sides = [(x, turned_x), (y, turned_y)];
    // The side that is written: input or output.
    let written = match problem.direction {
        Direction::Forward => Some(1),
        Direction::InputGradient => Some(0),
        Direction::WeightGradient => None,
    };
    // SAFETY: every buffer has the size of what the problem names, and scratch memory is laid out just above.
    unsafe {
        if turns {
            for side in (0..2).filter(|&side| Some(side) != written) {
                let (own, turned) = sides[side];
                to_first(problem, side).copy(gpu, kernel, own, turned)?;
            }
        }
        if written.is_some() {
            weights.convert(gpu, problem, plan.layout, w, packed)?;
        }
        let [x, y] = sides.map(|(own, turned)| if turns { turned } else { own });
        gpu.cudnn()?.run(plan, [x, packed, y, scratch])?;
        match written {
            None => weights.convert(gpu, problem, plan.layout, w, packed),
            Some(side) if turns => {
                let (own, turned) = sides[side];
                to_last(problem, side).copy(gpu, kernel, turned, own)
            }
            Some(_) => Ok(()),
        }
    }
}

/// `[N, V, C]` → `[N, C, V]`.
fn to_first(problem: &Problem, side: usize) -> Strided {
    let (v, c) = extent(problem, side);
    Strided::new(&[problem.cases, c, v], &[v * c, 1, c])
}

/// `[N, C, V]` → `[N, V, C]`.
fn to_last(problem: &Problem, side: usize) -> Strided {
    let (v, c) = extent(problem, side);
    Strided::new(&[problem.cases, v, c], &[v * c, 1, v])
}

fn extent(problem: &Problem, side: usize) -> (usize, usize) {
    let [x, y, z] = problem.voxels[side];
    (x * y * z, problem.channels[side])
}
