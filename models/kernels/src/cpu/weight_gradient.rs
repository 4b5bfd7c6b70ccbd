//! Gradient of a convolution with respect to its weights.

use std::ops::Range;

use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::dense;
use super::dispatch::vectorized;
use super::gather::{AxisGather, blocks};
use super::lanes::LANES;
use super::weight_tile::{Piece, Row, TILE_VECTORS};
use super::window::{CaseActivations, Window};
use crate::geometry::ConvGeometry;

/// Most groups of voxels with sums of their own.
const GROUPS: usize = 32;
/// Fewest voxels per group: fewer do not pay for a set of sums.
const GROUP_VOXELS: usize = 512;
/// All sets of sums have no more values than this, unless a single one does.
const PARTIAL_VALUES: usize = 1 << 20;
/// Parts of a set of sums that are computed apart where there are few groups.
const PARTS: usize = 8;
/// Size of inputs and gradients that are reused in the first-level cache.
const CHUNK_VALUES: usize = 5 << 10;

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
/// The inputs that meet one output through the taps of one x and y are contiguous, a run of `kZ · C`; they are summed
/// in whole vectors, of which the last may reach beyond the run.
struct Reduction {
    axes: [AxisGather; 3],
    x_shape: [usize; 3],
    shape: [usize; 3],
    /// Channels of inputs and of gradients.
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
        // The order of sums must not depend on the number of threads.
        let voxels = cases * self.shape.iter().product::<usize>();
        let groups_wanted = (PARTIAL_VALUES / (vectors * LANES * k))
            .min(voxels / GROUP_VOXELS)
            .clamp(1, GROUPS);
        let blocks = self.blocks(cases, groups_wanted);
        let per_group = blocks.len().div_ceil(groups_wanted);
        let groups: Vec<&[Block]> = blocks.chunks(per_group).collect();
        let parts = (GROUPS / groups.len()).clamp(1, PARTS);
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
        let case = CaseActivations {
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
        let window = Window::copy(
            case,
            origin,
            [0, 1, 2].map(|axis| inputs[axis].len()),
            buffer,
        );
        let [size_x, size_y, size_z] = self.shape;
        let input = |axis: usize, b: isize| {
            self.axes[axis].advance as isize * b + self.axes[axis].phases[0].first
        };
        let advance = self.axes[2].advance * window.strides[2];
        // Long rows are split into chunks, and short rows are joined into one.
        let fitting = (CHUNK_VALUES / (advance + k)).clamp(2 * LANES, 64 * LANES);
        let length = size_z.div_ceil(size_z.div_ceil(fitting));
        let mut rows = Vec::new();
        for x in x_range.clone() {
            for y in y_range.clone() {
                let start = window.offset([input(0, x), input(1, y), input(2, 0)]);
                let gradient = (block.case * size_x + x as usize) * size_y + y as usize;
                rows.extend((0..size_z).step_by(length).map(|z| Row {
                    start: start + z * advance,
                    gradient: (gradient * size_z + z) * k,
                    voxels: (size_z - z).min(length),
                }));
            }
        }
        let per_run = self.vectors_per_run();
        let offset = |vector: usize| {
            let (run, within) = (vector / per_run, vector % per_run);
            let (tap_x, tap_y) = (run / self.kernel[1], run % self.kernel[1]);
            tap_x * window.strides[0] + tap_y * window.strides[1] + within * LANES
        };
        Piece {
            rows,
            per_chunk: (fitting / length).max(1),
            advance,
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
        let runs = kernel_x * kernel_y;
        let set = runs * per_run * k;
        for run in 0..runs {
            // Position of a lane in the run, counted because divisions would dominate the time.
            let (mut tap_z, mut input) = (0, 0);
            for vector in 0..per_run {
                let at = (run * per_run + vector) * k + channel;
                let mut sums = [0.0; LANES];
                for partial in partial[at..].iter().step_by(set) {
                    for (sum, value) in sums.iter_mut().zip(partial) {
                        *sum += value;
                    }
                }
                for sum in sums {
                    if tap_z < kernel_z {
                        weights[(input * runs + run) * kernel_z + tap_z] = sum;
                    }
                    input += 1;
                    if input == c {
                        (tap_z, input) = (tap_z + 1, 0);
                    }
                }
            }
        }
    }
}
