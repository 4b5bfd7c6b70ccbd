//! Attention within windows.
#![allow(unsafe_code, reason = "launches kernels")]

use std::f32::consts::LOG2_E;

use burn::tensor::DType;

use super::argument::argument;
use super::backend::{Cuda, CudaTensor};
use super::error::CudaError;
use super::gpu::Gpu;
use super::limits::MOST_BLOCKS;
use super::operation::Operation;
use super::precision::ActivationType;
use super::program::Program;
use super::tensor::{axes, is_single};
use crate::reference;
use crate::results::{Attended, AttentionGradients};

/// Rows that a warp takes, as in attention.cu.
const WARP_ROWS: usize = 16;

/// Columns that a warp takes at a time, as in attention.cu.
const WARP_COLUMNS: usize = 8;

/// Most warps of a block, as in attention.cu.
const MOST_WARPS: usize = 8;

/// Rows and columns of the bias that a block sums the gradient of, as in attention.cu.
const BIAS_TILE: usize = 64;

/// Threads of such a block, as in attention.cu.
const BIAS_THREADS: u32 = 128;

/// Threads of a block that takes elements of the bias.
const ELEMENT_THREADS: u32 = 256;

/// Target number of such blocks. Independent of the device, so that sums are.
const BIAS_BLOCKS: usize = 1024;

/// Most channels per head.
const MOST_CHANNELS: usize = 64;

/// Sizes of an attention; laid out as in attention.cu.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
struct Windows {
    n: u32,
    heads: u32,
    in_case: u32,
    rows: u32,
    pitch: u32,
    scale: f32,
    factor: f32,
    apart: f32,
}

/// An attention that the kernels can compute.
#[derive(Debug, Clone, Copy)]
struct Problem {
    program: Program,
    count: usize,
    n: usize,
    heads: usize,
    head: usize,
    windows: Windows,
}

impl Problem {
    fn new(qkv: &CudaTensor, bias: &CudaTensor, regions: Option<&CudaTensor>) -> Option<Self> {
        let precision = ActivationType::of_values(qkv)?;
        if qkv.meta.shape().num_dims() != 3 || bias.meta.shape().num_dims() != 3 {
            return None;
        }
        let [count, n, channels] = axes::<3>(qkv);
        let [heads, ..] = axes::<3>(bias);
        let head = channels / 3 / heads.max(1);
        let fits = is_single(bias)
            && axes::<3>(bias) == [heads, n, n]
            && channels == 3 * heads * head
            && head % 4 == 0
            && (4..=MOST_CHANNELS).contains(&head)
            && heads <= MOST_BLOCKS
            && n.div_ceil(WARP_ROWS) <= MOST_BLOCKS;
        let in_case = match regions {
            None => 0,
            Some(regions) => {
                if regions.meta.shape().num_dims() != 2 || regions.dtype != DType::I32 {
                    return None;
                }
                let [in_case, tokens] = axes::<2>(regions);
                if tokens != n || in_case == 0 || count % in_case != 0 {
                    return None;
                }
                in_case
            }
        };
        let scale = (head as f32).sqrt().recip();
        fits.then(|| Self {
            program: Program::Attention {
                precision,
                head: head as u32,
            },
            count,
            n,
            heads,
            head,
            windows: Windows {
                n: n as u32,
                heads: heads as u32,
                in_case: in_case as u32,
                rows: n.next_multiple_of(WARP_ROWS) as u32,
                pitch: n.next_multiple_of(WARP_COLUMNS) as u32,
                scale,
                factor: scale * LOG2_E,
                apart: reference::APART / scale,
            },
        })
    }

    /// Grid and threads of kernels whose warps take rows of a window.
    fn launch(&self) -> ([u32; 3], u32) {
        let tiles = self.n.div_ceil(WARP_ROWS);
        let blocks = tiles.div_ceil(MOST_WARPS);
        let warps = tiles.div_ceil(blocks);
        let grid = [self.count as u32, self.heads as u32, blocks as u32];
        (grid, 32 * warps as u32)
    }

    /// Values of a prepared bias.
    fn prepared(&self) -> usize {
        self.heads * self.windows.rows as usize * self.windows.pitch as usize
    }

    /// Prepares a bias for the kernels, and its transpose where an address is not null.
    ///
    /// # Safety
    ///
    /// `bias` is that of the problem, `into` and `transposed` have room for as many values as [`Self::prepared`].
    unsafe fn prepare_bias(
        &self,
        gpu: &mut Gpu,
        bias: u64,
        into: u64,
        transposed: u64,
    ) -> Result<(), CudaError> {
        // SAFETY: guaranteed by the caller.
        unsafe {
            gpu.launch_of(
                self.program,
                "prepare_bias",
                element_grid(gpu, self.prepared()),
                ELEMENT_THREADS,
                0,
                &mut [
                    argument(&bias),
                    argument(&into),
                    argument(&transposed),
                    argument(&self.windows),
                ],
            )
        }
    }

    fn is_output(&self, tensor: &CudaTensor, dtype: DType) -> bool {
        tensor.dtype == dtype
            && tensor.meta.shape().num_dims() == 3
            && axes::<3>(tensor) == [self.count, self.n, self.heads * self.head]
    }
}

/// Blocks that take elements of the bias.
fn element_grid(gpu: &Gpu, elements: usize) -> [u32; 3] {
    let blocks = (elements as u32).div_ceil(ELEMENT_THREADS);
    [blocks.min(16 * gpu.multiprocessors), 1, 1]
}

/// Scratch memory: the bias, with rows and columns in whole tiles.
pub fn window_attention(
    qkv: CudaTensor,
    bias: CudaTensor,
    regions: Option<CudaTensor>,
) -> Attended<Cuda> {
    let Some(problem) = Problem::new(&qkv, &bias, regions.as_ref()) else {
        return reference::window_attention::<Cuda>(qkv, bias, regions);
    };
    let Problem {
        count, n, heads, ..
    } = problem;
    let dtype = qkv.dtype;
    let mut operation = Operation::beside(&qkv);
    let [qkv, bias] = [qkv, bias].map(|tensor| operation.dense(tensor));
    let regions = regions.map(|regions| operation.dense(regions));
    let (output, to_output) = operation.output([count, n, heads * problem.head], dtype);
    let (log_sums, to_log_sums) = operation.output([count, heads, n], DType::F32);
    operation.submit(move |gpu, at| {
        let [qkv, bias, output, log_sums] =
            [qkv, bias, to_output, to_log_sums].map(|buffer| at.of(buffer));
        let regions = regions.map_or(0, |regions| at.of(regions));
        let (grid, threads) = problem.launch();
        let [prepared] = gpu.scratch([problem.prepared() * 4])?;
        // SAFETY: buffers have the sizes of the tensors' shapes, which the problem has checked, and scratch memory that
        // of the prepared bias.
        unsafe {
            problem.prepare_bias(gpu, bias, prepared, 0)?;
            gpu.launch_of(
                problem.program,
                "attend",
                grid,
                threads,
                0,
                &mut [
                    argument(&qkv),
                    argument(&prepared),
                    argument(&regions),
                    argument(&output),
                    argument(&log_sums),
                    argument(&problem.windows),
                ],
            )
        }
    });
    Attended { output, log_sums }
}

/// Scratch memory: 4 bytes per head and token; the bias twice; and where few heads leave the GPU idle, up to 16 MiB of
/// partial sums of its gradient.
pub fn window_attention_gradient(
    qkv: CudaTensor,
    bias: CudaTensor,
    regions: Option<CudaTensor>,
    attended: Attended<Cuda>,
    gradient: CudaTensor,
) -> AttentionGradients<Cuda> {
    let known = Problem::new(&qkv, &bias, regions.as_ref()).filter(|problem| {
        problem.is_output(&gradient, qkv.dtype)
            && problem.is_output(&attended.output, qkv.dtype)
            && is_single(&attended.log_sums)
            && attended.log_sums.meta.shape().num_elements()
                == problem.count * problem.heads * problem.n
    });
    let Some(problem) = known else {
        return reference::window_attention_gradient::<Cuda>(
            qkv, bias, regions, attended, gradient,
        );
    };
    let Problem {
        count, n, heads, ..
    } = problem;
    let (shape, dtype) = (qkv.meta.shape().clone(), qkv.dtype);
    let mut operation = Operation::beside(&qkv);
    let Attended { output, log_sums } = attended;
    let inputs = [qkv, bias, output, log_sums, gradient].map(|tensor| operation.dense(tensor));
    let regions = regions.map(|regions| operation.dense(regions));
    let (to_qkv, into_qkv) = operation.output(shape, dtype);
    let (to_bias, into_bias) = operation.output([heads, n, n], DType::F32);
    operation.submit(move |gpu, at| {
        let [qkv, bias, output, log_sums, gradient] = inputs.map(|buffer| at.of(buffer));
        let regions = regions.map_or(0, |regions| at.of(regions));
        let [into_qkv, into_bias] = [into_qkv, into_bias].map(|buffer| at.of(buffer));
        let tiles = n.div_ceil(BIAS_TILE).pow(2);
        let groups = (BIAS_BLOCKS / (heads * tiles)).clamp(1, count);
        let share = count.div_ceil(groups);
        let groups = count.div_ceil(share);
        let elements = heads * n * n;
        let partial_bytes = if groups > 1 { groups * elements * 4 } else { 0 };
        let prepared_bytes = problem.prepared() * 4;
        let [along, prepared, transposed, partials] = gpu.scratch([
            count * heads * n * 4,
            prepared_bytes,
            prepared_bytes,
            partial_bytes,
        ])?;
        let partials = if groups > 1 { partials } else { into_bias };
        let (grid, threads) = problem.launch();
        let bias_grid = [tiles as u32, heads as u32, groups as u32];
        let (windows, share) = (count as u32, share as u32);
        let (elements, groups) = (elements as u32, groups as u32);
        let combine_grid = element_grid(gpu, heads * n * n);
        // SAFETY: buffers have the sizes of the tensors' shapes, which the problem has checked; scratch memory a number
        // per head and token, two prepared biases, and a number per element of the bias and group.
        unsafe {
            problem.prepare_bias(gpu, bias, prepared, transposed)?;
            gpu.launch_of(
                problem.program,
                "attend_queries",
                grid,
                threads,
                0,
                &mut [
                    argument(&qkv),
                    argument(&prepared),
                    argument(&regions),
                    argument(&output),
                    argument(&log_sums),
                    argument(&gradient),
                    argument(&along),
                    argument(&into_qkv),
                    argument(&problem.windows),
                ],
            )?;
            gpu.launch_of(
                problem.program,
                "attend_keys",
                grid,
                threads,
                0,
                &mut [
                    argument(&qkv),
                    argument(&transposed),
                    argument(&regions),
                    argument(&log_sums),
                    argument(&gradient),
                    argument(&along),
                    argument(&into_qkv),
                    argument(&problem.windows),
                ],
            )?;
            gpu.launch_of(
                problem.program,
                "attend_bias",
                bias_grid,
                BIAS_THREADS,
                0,
                &mut [
                    argument(&qkv),
                    argument(&prepared),
                    argument(&regions),
                    argument(&log_sums),
                    argument(&gradient),
                    argument(&along),
                    argument(&partials),
                    argument(&problem.windows),
                    argument(&windows),
                    argument(&share),
                ],
            )?;
            if groups == 1 {
                return Ok(());
            }
            gpu.launch_of(
                problem.program,
                "combine_bias",
                combine_grid,
                ELEMENT_THREADS,
                0,
                &mut [
                    argument(&partials),
                    argument(&into_bias),
                    argument(&elements),
                    argument(&groups),
                ],
            )
        }
    });
    AttentionGradients {
        qkv: to_qkv,
        bias: to_bias,
    }
}
