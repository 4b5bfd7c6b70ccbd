//! Computes a planned convolution.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::plan::{Method, PlannedConvolution, Product, WeightSource};
use super::scratch::Scratch;
use super::tile::{GROUPS, LANES, MatrixTile, PANEL};
use super::winograd::WinogradAlgorithm;

/// Most target sums of a product.
const MAX_TARGETS: usize = 4;

/// Runs a function for every number below the first argument, in parallel.
pub(crate) type Parallel<'a> = dyn Fn(usize, &(dyn Fn(usize) + Sync + Send)) + 'a;

/// A part of the output.
struct OutputBlock {
    filters: Range<usize>,
    /// First plane; 0 for packed positions.
    plane: usize,
    /// Rows of a plane, or positions.
    at: Range<usize>,
}

/// Inputs of a task's positions.
struct Panels<'a> {
    inputs: &'a [f32],
    groups: usize,
    /// From panel to panel of the inputs.
    stride: usize,
}

/// Destination of a task's sums.
struct Output(*mut f32);

// SAFETY: tasks write disjoint parts of it.
unsafe impl Sync for Output {}

impl PlannedConvolution {
    /// Weights in the form that [`Self::run`] takes, if it differs from the network's.
    pub(crate) fn transform(&self, weights: &[f32], parallel: &Parallel<'_>) -> Option<Vec<f32>> {
        if self.takes_own_weights() {
            return None;
        }
        assert_eq!(
            weights.len(),
            self.layer.filters * self.layer.channels * self.layer.taps()
        );
        let mut transformed = vec![0.; self.weights()];
        let mut rest = &mut transformed[..];
        let mut parts = Vec::new();
        for product in self.products() {
            let (part, others) = std::mem::take(&mut rest).split_at_mut(product.weights.len());
            rest = others;
            parts.push(Mutex::new((product, part)));
        }
        parallel(parts.len(), &|index| {
            let mut part = parts[index].lock().unwrap_or_else(PoisonError::into_inner);
            let (product, to) = &mut *part;
            match &product.source {
                WeightSource::Network => {}
                WeightSource::Planes(kernel) => {
                    WinogradAlgorithm::transform(*kernel, weights, product.taps, to)
                }
                WeightSource::Phase(phase) => phase.weights(&self.layer, weights, to),
            }
        });
        drop(parts);
        Some(transformed)
    }

    /// Computes the convolution of a volume.
    ///
    /// **Shapes**: input `[channels, input]`; weights of the network or from [`Self::transform`]; optional bias
    /// `[filters]`; output `[filters, output]`.
    pub(crate) fn run(
        &self,
        [input, weights, bias]: [&[f32]; 3],
        output: &mut [f32],
        scratch: &Scratch,
        parallel: &Parallel<'_>,
    ) {
        let filters = self.layer.filters;
        let voxels: usize = self.layer.input.iter().product();
        assert_eq!(input.len(), self.layer.channels * voxels);
        assert_eq!(weights.len(), self.weights());
        assert!(bias.is_empty() || bias.len() == filters);
        assert_eq!(
            output.len(),
            filters * self.output.iter().product::<usize>()
        );
        let shares = filters.div_ceil(self.share);
        let tasks = self.blocks * shares;
        let output = Output(output.as_mut_ptr());
        let next = AtomicUsize::new(0);
        parallel(self.workers.min(tasks), &|_| {
            let mut piece = scratch.take(self.inputs + self.sums());
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= tasks {
                    break;
                }
                let first = index % shares * self.share;
                let task = self.task(index / shares, first..filters.min(first + self.share));
                let (inputs, sums) = piece.floats().split_at_mut(self.inputs);
                let sums = &mut sums[..self.sums()];
                self.compute(&task, [input, weights], inputs, sums);
                self.write(&task, sums, bias, &output);
            }
            scratch.give_back(piece);
        });
    }

    fn task(&self, block: usize, filters: Range<usize>) -> OutputBlock {
        let (plane, first, length, end) = match &self.method {
            Method::Planes { rows, planes, .. } => {
                let (step, block) = (block / rows.blocks(), block % rows.blocks());
                let end = self.layer.input[1];
                (step * planes, block * rows.count, rows.count, end)
            }
            Method::Packed(length) => (0, block * length, *length, self.output.iter().product()),
        };
        OutputBlock {
            filters,
            plane,
            at: first..end.min(first + length),
        }
    }

    /// Computes the sums of a task, `[targets, share, width]`.
    fn compute(
        &self,
        task: &OutputBlock,
        [input, weights]: [&[f32]; 2],
        inputs: &mut [f32],
        sums: &mut [f32],
    ) {
        sums.fill(0.);
        let voxels: usize = self.layer.input.iter().product();
        for first in (0..self.layer.channels).step_by(self.part) {
            let channels = first..self.layer.channels.min(first + self.part);
            let input = &input[channels.start * voxels..channels.end * voxels];
            for fill in &self.fills {
                let panels = match &self.method {
                    Method::Planes { rows, .. } => {
                        let at = task.at.clone();
                        rows.fill(self.instructions, input, fill.mixes, task.plane, at, inputs);
                        Panels {
                            inputs,
                            groups: rows.groups(task.at.len()),
                            stride: PANEL,
                        }
                    }
                    Method::Packed(_) => {
                        let stride = channels.len() * self.layer.taps() * PANEL;
                        let starts = task.at.clone().step_by(PANEL);
                        for (start, to) in starts.zip(inputs.chunks_mut(stride)) {
                            let at = start..task.at.end.min(start + PANEL);
                            self.instructions
                                .pack(&self.layer, self.output, input, at, to);
                        }
                        Panels {
                            inputs,
                            groups: task.at.len().div_ceil(LANES),
                            stride,
                        }
                    }
                };
                for product in &fill.products {
                    self.multiply(&task.filters, product, &channels, &panels, weights, sums);
                }
            }
        }
    }

    /// Adds a product of weights and of inputs of some channels to the sums.
    fn multiply(
        &self,
        filters: &Range<usize>,
        product: &Product,
        channels: &Range<usize>,
        panels: &Panels<'_>,
        weights: &[f32],
        sums: &mut [f32],
    ) {
        let weights = &weights[product.weights.clone()];
        let offsets = &product.offsets[..channels.len() * product.taps];
        let farthest = offsets.iter().max().map_or(0, |offset| *offset as usize);
        let a_stride = self.layer.channels * product.taps;
        let rows = self.instructions.rows();
        for row in filters.clone().step_by(rows) {
            let count = rows.min(filters.end - row);
            let a = &weights[row * a_stride + channels.start * product.taps..];
            assert!(a.len() >= (count - 1) * a_stride + offsets.len());
            for (panel, group) in (0..panels.groups).step_by(GROUPS).enumerate() {
                let b = &panels.inputs[panel * panels.stride..];
                assert!(b.len() >= farthest + PANEL);
                let mut targets = [(sums.as_mut_ptr(), 0.); MAX_TARGETS];
                for (to, &(target, factor)) in targets.iter_mut().zip(&product.targets) {
                    let row = target * self.share + row - filters.start;
                    let sums = &mut sums[row * self.width + panel * PANEL..];
                    assert!(sums.len() >= (count - 1) * self.width + PANEL);
                    *to = (sums.as_mut_ptr(), factor);
                }
                let tile = MatrixTile {
                    a: a.as_ptr(),
                    a_stride,
                    b: b.as_ptr(),
                    offsets,
                    targets: &targets[..product.targets.len()],
                    c_stride: self.width,
                    next: match panel {
                        0 => a.as_ptr().wrapping_add(rows * a_stride),
                        _ => a.as_ptr(),
                    },
                };
                let groups = GROUPS.min(panels.groups - group);
                // SAFETY: weights, inputs and sums have the lengths that were checked, and no other task uses the sums.
                unsafe { self.instructions.tile(count, groups, &tile) };
            }
        }
    }

    /// Writes a task's part of the output.
    fn write(&self, task: &OutputBlock, sums: &[f32], bias: &[f32], output: &Output) {
        let [planes, height, width] = self.output;
        for filter in task.filters.clone() {
            let bias = bias.get(filter).copied().unwrap_or_default();
            let of = |target: usize, first: usize, length: usize| {
                let row = target * self.share + filter - task.filters.start;
                &sums[row * self.width + first..][..length]
            };
            let to = |plane: usize, row: usize, length: usize| {
                let voxel = ((filter * planes + plane) * height + row) * width;
                // SAFETY: the output has these rows, and nothing else writes them meanwhile.
                unsafe { std::slice::from_raw_parts_mut(output.0.add(voxel), length) }
            };
            match &self.method {
                Method::Planes {
                    rows,
                    planes: several,
                    doubled: false,
                } => {
                    for target in 0..(*several).min(planes - task.plane) {
                        for (index, row) in task.at.clone().enumerate() {
                            let sums = of(target, index * rows.pitch(), width);
                            add(to(task.plane + target, row, width), sums, bias);
                        }
                    }
                }
                Method::Planes { rows, .. } => {
                    for [x, y] in [[0, 0], [0, 1], [1, 0], [1, 1]] {
                        for (index, row) in task.at.clone().enumerate() {
                            let sums = |z| of(4 * x + 2 * y + z, index * rows.pitch(), width / 2);
                            let to = to(2 * task.plane + x, 2 * row + y, width);
                            let (pairs, _) = to.as_chunks_mut();
                            for ([even, odd], (a, b)) in
                                pairs.iter_mut().zip(sums(0).iter().zip(sums(1)))
                            {
                                (*even, *odd) = (a + bias, b + bias);
                            }
                        }
                    }
                }
                Method::Packed(_) => {
                    let length = task.at.len();
                    // SAFETY: as above, for positions.
                    let to = unsafe {
                        let first = filter * planes * height * width + task.at.start;
                        std::slice::from_raw_parts_mut(output.0.add(first), length)
                    };
                    add(to, of(0, 0, length), bias);
                }
            }
        }
    }
}

fn add(to: &mut [f32], sums: &[f32], bias: f32) {
    for (to, sum) in to.iter_mut().zip(sums) {
        *to = sum + bias;
    }
}
