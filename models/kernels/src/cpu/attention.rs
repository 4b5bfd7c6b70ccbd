//! Attention within windows.

use std::iter;

use burn::tensor::{DType, TensorMetadata};
use burn_flex::{Flex, FlexTensor};
use rayon::prelude::*;

use super::attention_head::{AttentionHead, Gradient, HeadBuffers, HeadShape};
use super::channels::total;
use super::dense;
use super::dispatch::vectorized;
use crate::results::{Attended, AttentionGradients};

/// Target number of sums of the bias's gradient over windows, which are then added up in order.
const BIAS_SUMS: usize = 64;

#[derive(Debug, Clone, Copy)]
struct Problem {
    windows: usize,
    heads: usize,
    shape: HeadShape,
}

impl Problem {
    fn new(qkv: &FlexTensor, bias: &FlexTensor) -> Self {
        let [windows, n, channels] = dense::shape::<3>(qkv);
        let [heads, ..] = dense::shape::<3>(bias);
        Self {
            windows,
            heads,
            shape: HeadShape::new(n, channels / 3 / heads),
        }
    }

    /// Values of one part of one head in one window.
    fn part(&self) -> usize {
        self.shape.n * self.shape.channels
    }

    /// Copies heads `[.., n, channels]` into rows `[n, width]` of a window, each from its column on.
    fn join<'a>(
        &self,
        parts: impl Iterator<Item = (usize, &'a [f32])>,
        rows: &mut [f32],
        width: usize,
    ) {
        let channels = self.shape.channels;
        for (column, part) in parts {
            for (row, part) in rows
                .chunks_exact_mut(width)
                .zip(part.chunks_exact(channels))
            {
                row[column..column + channels].copy_from_slice(part);
            }
        }
    }
}

/// Regions of the tokens of a case's windows, `[windows of a case, n]`.
pub struct Regions(Vec<i32>);

impl Regions {
    /// Of integers; nothing of other types.
    pub fn new(regions: Option<&FlexTensor>) -> Option<Self> {
        let Some(regions) = regions else {
            return Some(Self(Vec::new()));
        };
        let regions = regions.to_contiguous();
        match regions.dtype() {
            DType::I32 => Some(Self(regions.storage::<i32>().to_vec())),
            DType::I64 => {
                let values = regions.storage::<i64>().iter();
                let narrow: Result<_, _> = values.map(|&value| i32::try_from(value)).collect();
                narrow.ok().map(Self)
            }
            _ => None,
        }
    }

    fn of(&self, window: usize, n: usize) -> Option<&[i32]> {
        let in_case = self.0.len() / n;
        let window = window.checked_rem(in_case)?;
        Some(&self.0[window * n..(window + 1) * n])
    }
}

pub fn window_attention(qkv: FlexTensor, bias: FlexTensor, regions: &Regions) -> Attended<Flex> {
    let problem = Problem::new(&qkv, &bias);
    let Problem {
        windows,
        heads,
        shape,
    } = problem;
    let n = shape.n;
    let [qkv, bias] = [qkv, bias].map(|tensor| tensor.to_contiguous());
    let (qkv, bias): (&[f32], &[f32]) = (qkv.storage(), bias.storage());
    let mut by_head = dense::zeros(windows * heads * problem.part());
    let mut log_sums = dense::zeros(windows * heads * n);
    by_head
        .par_chunks_mut(problem.part())
        .zip(log_sums.par_chunks_mut(n))
        .enumerate()
        .for_each_init(
            || HeadBuffers::new(shape),
            |buffers, (index, (output, log_sums))| {
                let (window, head) = (index / heads, index % heads);
                vectorized(AttentionHead {
                    shape,
                    qkv: &qkv[window * n * 3 * heads * shape.channels..],
                    heads,
                    head,
                    bias: &bias[head * n * n..(head + 1) * n * n],
                    regions: regions.of(window, n),
                    buffers,
                    output,
                    log_sums,
                });
            },
        );
    let width = heads * shape.channels;
    let mut output = dense::zeros(windows * n * width);
    output
        .par_chunks_mut(n * width)
        .zip(by_head.par_chunks(heads * problem.part()))
        .for_each(|(rows, parts)| {
            let parts = parts.chunks_exact(problem.part()).enumerate();
            let parts = parts.map(|(head, part)| (head * shape.channels, part));
            problem.join(parts, rows, width);
        });
    Attended {
        output: dense::tensor(output, [windows, n, width]),
        log_sums: dense::tensor(log_sums, [windows, heads, n]),
    }
}

pub fn window_attention_gradient(
    qkv: FlexTensor,
    bias: FlexTensor,
    regions: &Regions,
    attended: Attended<Flex>,
    gradient: FlexTensor,
) -> AttentionGradients<Flex> {
    let problem = Problem::new(&qkv, &bias);
    let Problem {
        windows,
        heads,
        shape,
    } = problem;
    let n = shape.n;
    let Attended { output, log_sums } = attended;
    let tensors = [qkv, bias, output, log_sums, gradient].map(|tensor| tensor.to_contiguous());
    let [qkv, bias, output, log_sums, gradient] = tensors.each_ref().map(|tensor| {
        let values: &[f32] = tensor.storage();
        values
    });
    let width = heads * shape.channels;
    let share = windows.div_ceil(BIAS_SUMS.div_ceil(heads));
    let per_window = 3 * problem.part();
    let mut by_head = dense::zeros(heads * windows * per_window);
    let tasks: Vec<(usize, usize, &mut [f32])> = by_head
        .chunks_mut(windows * per_window)
        .enumerate()
        .flat_map(|(head, own)| {
            let shares = own.chunks_mut(share * per_window).enumerate();
            shares.map(move |(index, own)| (head, index * share, own))
        })
        .collect();
    let sums: Vec<Vec<f64>> = tasks
        .into_par_iter()
        .map(|(head, first, own)| {
            let mut buffers = HeadBuffers::new(shape);
            let mut sums = dense::zeros(n * n);
            for (window, into) in (first..).zip(own.chunks_exact_mut(per_window)) {
                let rows = (window * heads + head) * n;
                vectorized(Gradient {
                    shape,
                    qkv: &qkv[window * n * 3 * width..],
                    heads,
                    head,
                    bias: &bias[head * n * n..(head + 1) * n * n],
                    regions: regions.of(window, n),
                    output: &output[window * n * width..],
                    log_sums: &log_sums[rows..rows + n],
                    gradient: &gradient[window * n * width..],
                    buffers: &mut buffers,
                    into,
                    to_bias: &mut sums,
                });
            }
            sums.into_iter().map(f64::from).collect()
        })
        .collect();
    let mut to_qkv = dense::zeros(qkv.len());
    to_qkv
        .par_chunks_mut(n * 3 * width)
        .enumerate()
        .for_each(|(window, rows)| {
            let parts = (0..heads).flat_map(|head| {
                let first = (head * windows + window) * per_window;
                let parts = by_head[first..first + per_window].chunks_exact(problem.part());
                let columns = (0..3).map(move |part| part * width + head * shape.channels);
                columns.zip(parts)
            });
            problem.join(parts, rows, 3 * width);
        });
    let shares = windows.div_ceil(share);
    let to_bias: Vec<f32> = sums
        .par_chunks(shares)
        .flat_map_iter(|sums| total(sums, n * n))
        .map(|sum| sum as f32)
        .collect();
    AttentionGradients {
        qkv: dense::tensor(to_qkv, [windows, n, 3 * width]),
        bias: dense::tensor(to_bias, [heads, n, n]),
    }
}

/// Whether the sizes of an attention fit each other, and it is not empty.
pub fn fits(qkv: &FlexTensor, bias: &FlexTensor, regions: Option<&FlexTensor>) -> bool {
    let sizes = |tensor: &FlexTensor, rank: usize| {
        let shape: Vec<usize> = tensor.shape().iter().copied().collect();
        let fits = shape.len() == rank && shape.iter().all(|&size| size > 0);
        fits.then_some(shape)
    };
    let (Some(qkv), Some(bias)) = (sizes(qkv, 3), sizes(bias, 3)) else {
        return false;
    };
    let regions = regions.map(|regions| sizes(regions, 2));
    let region_fits = |shape: Option<Vec<usize>>| {
        shape.is_some_and(|shape| shape[1] == qkv[1] && qkv[0] % shape[0] == 0)
    };
    let all = iter::once(bias[1] == qkv[1] && bias[2] == qkv[1] && qkv[2] % (3 * bias[0]) == 0);
    all.chain(regions.map(region_fits)).all(|fits| fits)
}
