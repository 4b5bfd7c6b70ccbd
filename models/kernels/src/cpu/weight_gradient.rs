//! Gradient of a convolution with respect to its weights.

use std::ops::Range;

use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::dense;
use super::gather::{AxisGather, blocks};
use super::lanes::{LANES, Lanes, Vectorized, vectorized};
use super::window::{Case, Window};
use crate::geometry::ConvGeometry;

/// Vectors of inputs and output channels per register tile.
const TILE_VECTORS: usize = 3;
const TILE_CHANNELS: usize = 4;
/// Independent pieces of work, where there are enough voxels and weights.
const PIECES: usize = 32;
/// Partial sums of voxels take no more values than this, unless a single set does.
const PARTIAL_VALUES: usize = 1 << 20;

pub fn conv_weight_gradient(
    x: FlexTensor,
    gradient: FlexTensor,
    geometry: ConvGeometry,
) -> FlexTensor {
    let [n, x_shape @ .., c] = dense::shape::<5>(&x);
    let [_, shape @ .., k] = dense::shape::<5>(&gradient);
    let (x, gradient) = (x.to_contiguous(), gradient.to_contiguous());
    let reduction = Reduction {
        axes: [0, 1, 2].map(|axis| AxisGather::convolution(shape[axis], geometry, axis)),
        x_shape,
        shape,
        channels: [c, k],
        kernel: geometry.kernel,
    };
    let [kx, ky, kz] = geometry.kernel;
    let weights = reduction.compute(n, x.storage(), gradient.storage());
    dense::tensor(weights, [k, c, kx, ky, kz])
}

/// Sums over voxels of inputs times gradients.
///
/// The inputs that meet one output through the taps of one x and y are contiguous, a run of `kZ · C`; they are summed in
/// whole vectors, of which the last may reach beyond the run.
struct Reduction {
    axes: [AxisGather; 3],
    x_shape: [usize; 3],
    shape: [usize; 3],
    /// Of inputs and gradients.
    channels: [usize; 2],
    kernel: [usize; 3],
}

/// Output rows whose inputs fit one window.
struct Block {
    case: usize,
    ranges: [Range<isize>; 2],
}

impl Reduction {
    fn run(&self) -> usize {
        self.kernel[2] * self.channels[0]
    }

    fn vectors_per_run(&self) -> usize {
        self.run().div_ceil(LANES)
    }

    fn compute(&self, cases: usize, x: &[f32], gradient: &[f32]) -> Vec<f32> {
        let [c, k] = self.channels;
        let runs = self.kernel[0] * self.kernel[1];
        let mut weights = dense::zeros(k * c * runs * self.kernel[2]);
        let vectors = runs * self.vectors_per_run();
        if weights.is_empty() || x.is_empty() || gradient.is_empty() {
            return weights;
        }
        // What is summed in which order must not depend on the number of threads.
        let groups_wanted = (PARTIAL_VALUES / (vectors * LANES * k)).clamp(1, PIECES);
        let blocks = self.blocks(cases, groups_wanted);
        let per_group = blocks.len().div_ceil(groups_wanted);
        let groups: Vec<&[Block]> = blocks.chunks(per_group).collect();
        let parts = (PIECES / groups.len()).max(1);
        let per_part = vectors.div_ceil(parts).next_multiple_of(TILE_VECTORS);
        let mut partial = vec![[0.0; LANES]; groups.len() * vectors * k];
        let pieces: Vec<_> = partial
            .chunks_mut(vectors * k)
            .zip(groups)
            .flat_map(|(sums, blocks)| {
                let parts = sums.chunks_mut(per_part * k).enumerate();
                parts.map(move |(part, sums)| (blocks, part * per_part, sums))
            })
            .collect();
        pieces
            .into_par_iter()
            .for_each_init(Vec::new, |buffer, (blocks, first, sums)| {
                for block in blocks {
                    vectorized(self.piece(block, first, sums, x, gradient, buffer));
                }
            });
        let size = weights.len() / k;
        weights
            .par_chunks_exact_mut(size)
            .enumerate()
            .for_each(|(channel, weights)| self.collect(&partial, channel, weights));
        weights
    }

    fn blocks(&self, cases: usize, wanted: usize) -> Vec<Block> {
        let ranges = blocks(&self.axes, self.channels[0], wanted.div_ceil(cases));
        let block = |case| {
            ranges.iter().map(move |ranges| Block {
                case,
                ranges: ranges.clone(),
            })
        };
        (0..cases).flat_map(block).collect()
    }

    fn piece<'a>(
        &self,
        block: &Block,
        first: usize,
        sums: &'a mut [[f32; LANES]],
        x: &'a [f32],
        gradient: &'a [f32],
        buffer: &'a mut Vec<f32>,
    ) -> Piece<'a> {
        let [c, k] = self.channels;
        let size = self.x_shape.iter().product::<usize>() * c;
        let case = Case {
            values: &x[block.case * size..][..size],
            shape: self.x_shape,
            channels: c,
        };
        let [x_range, y_range] = &block.ranges;
        let inputs = [
            self.axes[0].inputs(x_range),
            self.axes[1].inputs(y_range),
            self.axes[2].inputs(&self.axes[2].range()),
        ];
        let origin = [0, 1, 2].map(|axis| inputs[axis].start);
        let window = Window::copy(case, origin, [0, 1, 2].map(|axis| inputs[axis].len()), buffer);
        let [size_x, size_y, size_z] = self.shape;
        let input = |axis: usize, b: isize| {
            self.axes[axis].advance as isize * b + self.axes[axis].classes[0].first
        };
        let row = |x: isize, y: isize| Row {
            start: window.offset([input(0, x), input(1, y), input(2, 0)]),
            gradient: ((block.case * size_x + x as usize) * size_y + y as usize) * size_z * k,
        };
        let per_run = self.vectors_per_run();
        let offset = |vector: usize| {
            let (run, within) = (vector / per_run, vector % per_run);
            let (tap_x, tap_y) = (run / self.kernel[1], run % self.kernel[1]);
            tap_x * window.strides[0] + tap_y * window.strides[1] + within * LANES
        };
        Piece {
            rows: x_range
                .clone()
                .flat_map(|x| y_range.clone().map(move |y| (x, y)))
                .map(|(x, y)| row(x, y))
                .collect(),
            voxels: size_z,
            advance: self.axes[2].advance * window.strides[2],
            channels: k,
            offsets: (first..first + sums.len() / k).map(offset).collect(),
            window: window.values,
            gradient,
            sums,
        }
    }

    /// The weights of one output channel, `[C, kX, kY, kZ]`, from all partial sums.
    fn collect(&self, partial: &[[f32; LANES]], channel: usize, weights: &mut [f32]) {
        let [c, k] = self.channels;
        let [kernel_x, kernel_y, kernel_z] = self.kernel;
        let per_run = self.vectors_per_run();
        for run in 0..kernel_x * kernel_y {
            for vector in 0..per_run {
                let at = (run * per_run + vector) * k + channel;
                let group = kernel_x * kernel_y * per_run * k;
                let mut sum = [0.0; LANES];
                for partial in partial[at..].iter().step_by(group) {
                    for (sum, value) in sum.iter_mut().zip(partial) {
                        *sum += value;
                    }
                }
                for (lane, sum) in sum.into_iter().enumerate() {
                    let (tap_z, input) = ((vector * LANES + lane) / c, (vector * LANES + lane) % c);
                    if tap_z < kernel_z {
                        weights[(input * kernel_x * kernel_y + run) * kernel_z + tap_z] = sum;
                    }
                }
            }
        }
    }
}

/// A row of output voxels along z.
#[derive(Clone, Copy)]
struct Row {
    /// Where its first input is in the window.
    start: usize,
    /// Where its gradient is.
    gradient: usize,
}

/// Some of the sums over the voxels of a block.
struct Piece<'a> {
    rows: Vec<Row>,
    /// Per row.
    voxels: usize,
    /// From the first input of a voxel to that of the next.
    advance: usize,
    /// Of the gradient.
    channels: usize,
    /// From the first input of a voxel to each vector of inputs.
    offsets: Vec<usize>,
    window: &'a [f32],
    gradient: &'a [f32],
    /// `[offsets, channels]`.
    sums: &'a mut [[f32; LANES]],
}

impl Vectorized for Piece<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(mut self) {
        let mut first = 0;
        while first < self.offsets.len() {
            match self.offsets.len() - first {
                1 => self.vectors::<L, 1>(first),
                2 => self.vectors::<L, 2>(first),
                _ => self.vectors::<L, TILE_VECTORS>(first),
            }
            first += TILE_VECTORS;
        }
    }
}

impl Piece<'_> {
    /// All channels of `V` vectors of inputs.
    #[inline(always)]
    fn vectors<L: Lanes, const V: usize>(&mut self, first: usize) {
        let mut channel = 0;
        while channel < self.channels {
            match self.channels - channel {
                1 => self.tile::<L, V, 1>(first, channel),
                2 => self.tile::<L, V, 2>(first, channel),
                3 => self.tile::<L, V, 3>(first, channel),
                _ => self.tile::<L, V, TILE_CHANNELS>(first, channel),
            }
            channel += TILE_CHANNELS;
        }
    }

    /// `V` vectors of inputs by `K` channels, kept in registers over all voxels.
    #[inline(always)]
    fn tile<L: Lanes, const V: usize, const K: usize>(&mut self, first: usize, channel: usize) {
        let mut sums = [[L::splat(0.0); K]; V];
        for v in 0..V {
            let from = (first + v) * self.channels + channel;
            for (sum, from) in sums[v].iter_mut().zip(&self.sums[from..from + K]) {
                *sum = L::load(from);
            }
        }
        let mut offsets = [0; V];
        offsets.copy_from_slice(&self.offsets[first..first + V]);
        // Slices of known lengths need few checks in the inner loop.
        let input_length = (self.voxels - 1) * self.advance + LANES;
        let gradient_length = (self.voxels - 1) * self.channels + K;
        for row in &self.rows {
            let mut inputs = [self.window; V];
            for (input, offset) in inputs.iter_mut().zip(offsets) {
                *input = &self.window[row.start + offset..][..input_length];
            }
            let gradient = &self.gradient[row.gradient + channel..][..gradient_length];
            let (mut input_at, mut gradient_at) = (0_usize, 0_usize);
            for _ in 0..self.voxels {
                let mut values = [L::splat(0.0); V];
                for v in 0..V {
                    values[v] = match inputs[v].get(input_at..) {
                        Some(values) => match values.first_chunk() {
                            Some(values) => L::load(values),
                            None => break,
                        },
                        None => break,
                    };
                }
                let Some(gradient) = gradient.get(gradient_at..).and_then(|g| g.first_chunk::<K>()) else { break };
                for k in 0..K {
                    let factor = L::splat(gradient[k]);
                    for v in 0..V {
                        sums[v][k] = values[v].multiply_add(factor, sums[v][k]);
                    }
                }
                input_at = input_at.wrapping_add(self.advance);
                gradient_at = gradient_at.wrapping_add(self.channels);
            }
        }
        for v in 0..V {
            let to = (first + v) * self.channels + channel;
            for (to, sum) in self.sums[to..to + K].iter_mut().zip(sums[v]) {
                *to = sum.values();
            }
        }
    }
}
