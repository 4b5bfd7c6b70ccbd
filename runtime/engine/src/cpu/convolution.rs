//! A convolution as products of weights with inputs that are put together in the cache.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use vesal_onnx::VolumeConvolution;

use super::pack::MAX_KERNEL;
use super::plane::Rows;
use super::tile::{LANES, PANEL, Tile};
use super::winograd::{self, Algorithm, Product};
use super::{Instructions, Processor};

/// Weights of a filter that are multiplied in one go, about: those of a tile's filters stay in the innermost cache.
const DEPTH: usize = 432;
/// Floats of inputs, and of sums, that are in work at a time, about: they stay in the second cache.
const CACHED: usize = 1 << 15;
/// Most panels of packed positions at a time.
const PANELS: usize = 5;
/// Most bytes of weights that are kept in another form than the network's.
const TRANSFORMED_BYTES: usize = 4 << 20;

/// Channels below which fewer products gain nothing: sums are moved too often.
const FEW: usize = 6;

/// Runs a function for every number below the first argument, some at the same time.
pub(crate) type Parallel<'a> = dyn Fn(usize, &(dyn Fn(usize) + Sync + Send)) + 'a;

/// Floats on a line of the cache.
#[repr(align(64))]
#[derive(Clone, Copy)]
struct Line([f32; LANES]);

/// Memory of workers, kept from layer to layer.
#[derive(Default)]
pub(crate) struct Scratch(Mutex<Vec<Vec<Line>>>);

/// A convolution that is planned for a processor.
#[derive(Debug)]
pub(crate) struct Convolution {
    instructions: Instructions,
    layer: VolumeConvolution,
    output: [usize; 3],
    method: Method,
    /// Filters of a task.
    share: usize,
    /// Channels that are multiplied in one go.
    part: usize,
    /// Where the inputs of these channels' weights are.
    offsets: Vec<u32>,
    /// Floats that a worker puts inputs into, and sums.
    inputs: usize,
    sums: usize,
    workers: usize,
}

/// How inputs are put together.
#[derive(Debug)]
enum Method {
    /// Rows of planes.
    Planes(Rows, &'static Algorithm),
    /// Positions, so many of a task.
    Packed(usize),
}

/// A part of the output.
struct Task {
    filters: Range<usize>,
    /// First plane; 0 for packed positions.
    plane: usize,
    /// Rows of a plane, or positions.
    at: Range<usize>,
}

/// Where a task's sums go, and what else tasks share.
struct Output {
    to: *mut f32,
}

// SAFETY: tasks write disjoint parts of it.
unsafe impl Sync for Output {}

impl Convolution {
    /// Plans a convolution; none if its sizes do not go together.
    pub(crate) fn new(processor: Processor, layer: VolumeConvolution) -> Option<Self> {
        let instructions = processor.instructions;
        let workers = processor.workers.max(1);
        let output = layer.output()?;
        let known = layer
            .kernel
            .iter()
            .all(|size| (1..=MAX_KERNEL).contains(size));
        let empty = [&layer.input[..], &[layer.channels, layer.filters]]
            .concat()
            .contains(&0);
        if !known || empty {
            return None;
        }
        let rows = instructions.rows();
        let [x, y, z] = output;
        let in_planes = is_same(&layer) && y * z >= PANEL;
        let (method, taps, width, targets, blocks) = if in_planes {
            let block = Rows::new(output, layer.filters);
            let algorithm = algorithm(&layer);
            let mixes = algorithm.products[0].mixes.len();
            let width = block.groups(block.count) * LANES;
            let blocks = block.blocks() * x.div_ceil(algorithm.planes);
            (
                Method::Planes(block, algorithm),
                9 * mixes,
                width,
                algorithm.planes,
                blocks,
            )
        } else {
            let positions = x * y * z;
            let blocks = positions.div_ceil(PANELS * PANEL).next_multiple_of(workers);
            let blocks = blocks.min(positions.div_ceil(PANEL)).max(1);
            let block = positions.div_ceil(blocks).next_multiple_of(PANEL);
            let blocks = positions.div_ceil(block);
            (Method::Packed(block), layer.taps(), block, 1, blocks)
        };
        // Whole tiles of filters, and work for everybody.
        let most = (CACHED / (width * targets) / rows).max(1);
        let tiles = layer.filters.div_ceil(rows);
        let shares = tiles.div_ceil(most).max(workers.div_ceil(blocks)).max(1);
        let share = tiles.div_ceil(shares).max(1) * rows;
        let floats = match &method {
            Method::Planes(block, _) => block.stride() * taps / 9,
            Method::Packed(_) => width * taps,
        };
        let most = (DEPTH / taps).min((2 * CACHED / floats).max(1)).max(1);
        let parts = layer.channels.div_ceil(most).max(1);
        let part = layer.channels.div_ceil(parts);
        let offsets = match &method {
            Method::Planes(block, _) => block.offsets(part * taps / 9),
            Method::Packed(_) => (0..part * taps).map(|k| (k * PANEL) as u32).collect(),
        };
        Some(Self {
            instructions,
            layer,
            output,
            method,
            share,
            part,
            offsets,
            inputs: part * floats,
            sums: targets * share * width.next_multiple_of(PANEL),
            workers,
        })
    }

    /// Voxels of a channel of the output.
    pub(crate) fn output(&self) -> [usize; 3] {
        self.output
    }

    /// Bytes of the weights that [`Self::transform`] makes.
    pub(crate) fn transformed_bytes(&self) -> usize {
        match &self.method {
            Method::Planes(_, algorithm) => transformed_bytes(&self.layer, algorithm),
            Method::Packed(_) => 0,
        }
    }

    /// Bytes that the workers take.
    pub(crate) fn scratch_bytes(&self) -> usize {
        self.workers * (self.inputs + self.sums).next_multiple_of(LANES) * size_of::<f32>()
    }

    /// Weights as [`Self::run`] takes them, where these are others than the network's.
    ///
    /// **Shapes**: `[filters, channels, kernel]` → for every product `[filters, channels, 3, 3]`.
    pub(crate) fn transform(&self, weights: &[f32], parallel: &Parallel<'_>) -> Option<Vec<f32>> {
        let Method::Planes(_, algorithm) = &self.method else {
            return None;
        };
        if !algorithm.transforms() {
            return None;
        }
        let pairs = self.layer.filters * self.layer.channels;
        let mut transformed = vec![0.; algorithm.products.len() * pairs * 9];
        let products: Vec<_> = algorithm
            .products
            .iter()
            .zip(transformed.chunks_exact_mut((pairs * 9).max(1)))
            .map(|(product, to)| Mutex::new((product.kernel.unwrap_or_default(), to)))
            .collect();
        parallel(products.len(), &|index| {
            let mut product = products[index]
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let (kernel, to) = &mut *product;
            Algorithm::transform(*kernel, weights, 9, to);
        });
        drop(products);
        Some(transformed)
    }

    /// Computes the convolution of a volume with these weights.
    ///
    /// **Shapes**: input `[channels, input]`; weights `[filters, channels, kernel]`, or what [`Self::transform`] gives;
    /// bias `[filters]` or nothing; output `[filters, output]`.
    pub(crate) fn run(
        &self,
        [input, weights, bias]: [&[f32]; 3],
        output: &mut [f32],
        scratch: &Scratch,
        parallel: &Parallel<'_>,
    ) {
        let VolumeConvolution {
            channels, filters, ..
        } = self.layer;
        let voxels: usize = self.layer.input.iter().product();
        let expected = match self.transformed_bytes() / size_of::<f32>() {
            0 => filters * channels * self.layer.taps(),
            transformed => transformed,
        };
        assert_eq!(input.len(), channels * voxels);
        assert_eq!(weights.len(), expected);
        assert!(bias.is_empty() || bias.len() == filters);
        assert_eq!(
            output.len(),
            filters * self.output.iter().product::<usize>()
        );
        let shares = filters.div_ceil(self.share);
        let tasks = self.blocks() * shares;
        let output = Output {
            to: output.as_mut_ptr(),
        };
        let next = AtomicUsize::new(0);
        parallel(self.workers.min(tasks), &|_| {
            let mut memory = scratch.take(self.inputs + self.sums);
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= tasks {
                    break;
                }
                let first = index % shares * self.share;
                let task = self.task(index / shares, first..filters.min(first + self.share));
                self.compute(&task, [input, weights, bias], &output, &mut memory);
            }
            scratch.give_back(memory);
        });
    }

    fn blocks(&self) -> usize {
        match &self.method {
            Method::Planes(rows, algorithm) => {
                rows.blocks() * self.output[0].div_ceil(algorithm.planes)
            }
            Method::Packed(block) => self.output.iter().product::<usize>().div_ceil(*block),
        }
    }

    fn task(&self, block: usize, filters: Range<usize>) -> Task {
        let (plane, first, length, end) = match &self.method {
            Method::Planes(rows, algorithm) => {
                let (step, block) = (block / rows.blocks(), block % rows.blocks());
                (
                    step * algorithm.planes,
                    block * rows.count,
                    rows.count,
                    self.output[1],
                )
            }
            Method::Packed(length) => (0, block * length, *length, self.output.iter().product()),
        };
        Task {
            filters,
            plane,
            at: first..end.min(first + length),
        }
    }

    fn compute(
        &self,
        task: &Task,
        [input, weights, bias]: [&[f32]; 3],
        output: &Output,
        memory: &mut [Line],
    ) {
        let voxels: usize = self.layer.input.iter().product();
        let (inputs, sums) = as_floats(memory).split_at_mut(self.inputs);
        let sums = &mut sums[..self.sums];
        sums.fill(0.);
        for first in (0..self.layer.channels).step_by(self.part) {
            let channels = first..self.layer.channels.min(first + self.part);
            let input = &input[channels.start * voxels..channels.end * voxels];
            match &self.method {
                Method::Planes(rows, algorithm) => {
                    let pairs = self.layer.filters * self.layer.channels;
                    let mut weights = weights;
                    for product in algorithm.products {
                        let of_product = pairs * 9 * product.mixes.len();
                        let (these, others) = weights.split_at(of_product);
                        weights = others;
                        rows.fill(
                            self.instructions,
                            input,
                            product.mixes,
                            task.plane,
                            task.at.clone(),
                            inputs,
                        );
                        let groups = rows.groups(task.at.len());
                        self.multiply(task, product, groups, [inputs, these], &channels, sums);
                    }
                }
                Method::Packed(_) => {
                    let groups = task.at.len().div_ceil(LANES);
                    let depth = channels.len() * self.layer.taps();
                    for (panel, start) in task.at.clone().step_by(PANEL).enumerate() {
                        let positions = start..task.at.end.min(start + PANEL);
                        let to = &mut inputs[panel * depth * PANEL..];
                        self.instructions
                            .pack(&self.layer, self.output, input, positions, to);
                    }
                    let product = &winograd::DIRECT.products[0];
                    self.multiply(task, product, groups, [inputs, weights], &channels, sums);
                }
            }
        }
        self.write(task, sums, bias, output);
    }

    /// Floats of sums of a filter.
    fn width(&self) -> usize {
        let width = match &self.method {
            Method::Planes(rows, _) => rows.groups(rows.count) * LANES,
            Method::Packed(block) => *block,
        };
        width.next_multiple_of(PANEL)
    }

    /// Adds products of weights and inputs of some channels to the sums `[targets, share, width]`.
    fn multiply(
        &self,
        task: &Task,
        product: &Product,
        groups: usize,
        [inputs, weights]: [&[f32]; 2],
        channels: &Range<usize>,
        sums: &mut [f32],
    ) {
        let (panel_stride, taps) = match &self.method {
            Method::Planes(..) => (PANEL, 9 * product.mixes.len()),
            Method::Packed(_) => (
                PANEL * channels.len() * self.layer.taps(),
                self.layer.taps(),
            ),
        };
        let a_stride = self.layer.channels * taps;
        let offsets = &self.offsets[..channels.len() * taps];
        let (width, rows) = (self.width(), self.instructions.rows());
        for row in task.filters.clone().step_by(rows) {
            let count = rows.min(task.filters.end - row);
            let a = &weights[row * a_stride + channels.start * taps..];
            assert!(a.len() >= (count - 1) * a_stride + offsets.len());
            for (panel, group) in (0..groups).step_by(PANEL / LANES).enumerate() {
                let b = &inputs[panel * panel_stride..];
                let mut targets = [(sums.as_mut_ptr(), 0.); 4];
                for (to, &(plane, factor)) in targets.iter_mut().zip(product.targets) {
                    let start =
                        (plane * self.share + row - task.filters.start) * width + panel * PANEL;
                    let sums = &mut sums[start..][..(count - 1) * width + PANEL];
                    *to = (sums.as_mut_ptr(), factor);
                }
                let tile = Tile {
                    a: a.as_ptr(),
                    a_stride,
                    b: b.as_ptr(),
                    offsets,
                    targets: &targets[..product.targets.len()],
                    c_stride: width,
                    next: match panel {
                        0 => a.as_ptr().wrapping_add(rows * a_stride),
                        _ => a.as_ptr(),
                    },
                };
                let last = offsets.last().map_or(0, |offset| *offset as usize);
                assert!(b.len() >= last + PANEL);
                // SAFETY: lengths are checked above; offsets grow; the sums are this task's own.
                unsafe {
                    self.instructions
                        .tile(count, (groups - group).min(PANEL / LANES), &tile);
                }
            }
        }
    }

    /// Writes a task's part of the output.
    fn write(&self, task: &Task, sums: &[f32], bias: &[f32], output: &Output) {
        let [planes, height, width] = self.output;
        let sums_width = self.width();
        let write = |filter: usize, target: usize, voxel: usize, from: usize, length: usize| {
            let row = target * self.share + filter - task.filters.start;
            let sums = &sums[row * sums_width + from..][..length];
            let bias = bias.get(filter).copied().unwrap_or_default();
            let voxel = filter * planes * height * width + voxel;
            // SAFETY: the output has all filters and voxels, and no other task has these.
            let to = unsafe { std::slice::from_raw_parts_mut(output.to.add(voxel), length) };
            for (to, sum) in to.iter_mut().zip(sums) {
                *to = sum + bias;
            }
        };
        for filter in task.filters.clone() {
            match &self.method {
                Method::Planes(rows, algorithm) => {
                    for target in 0..algorithm.planes.min(planes - task.plane) {
                        for (index, row) in task.at.clone().enumerate() {
                            let voxel = ((task.plane + target) * height + row) * width;
                            write(filter, target, voxel, index * rows.pitch(), width);
                        }
                    }
                }
                Method::Packed(_) => write(filter, 0, task.at.start, 0, task.at.len()),
            }
        }
    }
}

/// Whether kernels have 3×3×3 voxels and there is as much output as input.
fn is_same(layer: &VolumeConvolution) -> bool {
    let VolumeConvolution {
        kernel,
        stride,
        before,
        after,
        ..
    } = *layer;
    [kernel, stride, before, after] == [[3; 3], [1; 3], [1; 3], [1; 3]]
}

/// The algorithm with the fewest products whose weights are not too many.
fn algorithm(layer: &VolumeConvolution) -> &'static Algorithm {
    [&winograd::FOUR, &winograd::TWO, &winograd::DIRECT]
        .into_iter()
        .filter(|algorithm| !algorithm.transforms() || layer.channels >= FEW)
        .filter(|algorithm| transformed_bytes(layer, algorithm) <= TRANSFORMED_BYTES)
        .min_by_key(|algorithm| algorithm.cost(layer.input[0]))
        .unwrap_or(&winograd::DIRECT)
}

fn transformed_bytes(layer: &VolumeConvolution, algorithm: &Algorithm) -> usize {
    let products = if algorithm.transforms() {
        algorithm.products.len()
    } else {
        0
    };
    products * layer.filters * layer.channels * 9 * size_of::<f32>()
}

impl Scratch {
    fn take(&self, floats: usize) -> Vec<Line> {
        let lines = floats.div_ceil(LANES);
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut memory = all.pop().unwrap_or_default();
        drop(all);
        if memory.len() < lines {
            memory = vec![Line([0.; LANES]); lines];
        }
        memory
    }

    fn give_back(&self, memory: Vec<Line>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(memory);
    }
}

fn as_floats(memory: &mut [Line]) -> &mut [f32] {
    // SAFETY: a line is its floats and nothing else.
    unsafe { std::slice::from_raw_parts_mut(memory.as_mut_ptr().cast(), memory.len() * LANES) }
}
