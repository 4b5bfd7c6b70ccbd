//! Plans of convolutions.

use std::ops::Range;

use vesal_onnx::VolumeConvolution;

use super::conv_transpose::{OutputPhase, output_phases};
use super::pack::MAX_KERNEL;
use super::plane::Rows;
use super::processor::{Instructions, Processor};
use super::tile::{LANES, PANEL};
use super::winograd::{self, Mix, WinogradAlgorithm};

/// Approximate number of weights of a filter that are multiplied in one pass; those of a tile's filters stay in the
/// first-level cache.
const DEPTH: usize = 432;
/// Approximate number of floats of inputs, and of sums, per block; they stay in the second-level cache.
const CACHED: usize = 1 << 15;
/// Most panels of packed positions at a time.
const PANELS: usize = 5;
/// Most bytes of transformed weights: as many as caches may hold.
const TRANSFORMED_BYTES: usize = 4 << 20;
/// Channels below which saving products gains nothing, because sums are moved too often.
const FEW: usize = 6;
/// Voxels of a row below which kernels of fewer than 3×3×3 voxels are packed, if rows have a zero each.
const ROW: usize = 8;
/// Most voxels along an axis, and most channels: windows of scans are smaller.
const MAX_VOXELS: usize = 1 << 12;
const MAX_CHANNELS: usize = 1 << 16;
/// Input planes of a doubled plane.
const DOUBLED: &[Mix] = &[&[(0, 1.)], &[(1, 1.)]];

/// A convolution, planned for a processor.
#[derive(Debug)]
pub(crate) struct PlannedConvolution {
    pub(super) instructions: Instructions,
    pub(super) layer: VolumeConvolution,
    pub(super) output: [usize; 3],
    pub(super) method: Method,
    /// Steps for every part of the channels.
    pub(super) fills: Vec<Fill>,
    /// Blocks of the output, with all filters.
    pub(super) blocks: usize,
    /// Sums that a filter and position have.
    pub(super) targets: usize,
    /// Floats of sums of a filter and target.
    pub(super) width: usize,
    /// Filters of a task.
    pub(super) share: usize,
    /// Channels that are multiplied in one pass.
    pub(super) part: usize,
    /// Floats of a worker's packed inputs.
    pub(super) inputs: usize,
    pub(super) workers: usize,
}

/// How inputs are packed, and positions are divided.
#[derive(Debug)]
pub(super) enum Method {
    /// Rows of `planes` planes at once; if doubled, each plane and row becomes two of twice the length.
    Planes {
        rows: Rows,
        planes: usize,
        doubled: bool,
    },
    /// This number of positions.
    Packed(usize),
}

/// Inputs that are packed together, and their products.
#[derive(Debug)]
pub(super) struct Fill {
    /// Sums of planes; none where positions are packed.
    pub mixes: &'static [Mix],
    pub products: Vec<Product>,
}

/// A product of inputs and weights.
#[derive(Debug)]
pub(super) struct Product {
    /// Weights of a filter and channel.
    pub taps: usize,
    /// Offsets of the inputs of the channels' weights.
    pub offsets: Vec<u32>,
    /// Its part of all weights, `[filters, channels, taps]`.
    pub weights: Range<usize>,
    /// Target sums, with factors.
    pub targets: Vec<(usize, f32)>,
    /// Source of its weights.
    pub source: WeightSource,
}

/// Source of a product's weights.
#[derive(Debug)]
pub(super) enum WeightSource {
    /// The network's own, in place.
    Network,
    /// Sums of planes of kernels.
    Planes([f64; 3]),
    /// Some voxels of kernels.
    Phase(OutputPhase),
}

impl PlannedConvolution {
    /// Plans a convolution; `None` if its sizes do not fit each other or are not supported.
    pub(crate) fn new(processor: Processor, layer: VolumeConvolution) -> Option<Self> {
        let Processor {
            instructions,
            workers,
        } = processor;
        let layer = flat(layer);
        let output = layer.output()?;
        let sizes = [layer.input, output, layer.stride].concat();
        let pads = [layer.before, layer.after].concat();
        let known = layer
            .kernel
            .iter()
            .all(|size| (1..=MAX_KERNEL).contains(size))
            && sizes.iter().all(|size| (1..=MAX_VOXELS).contains(size))
            && pads.iter().all(|size| (0..=MAX_VOXELS).contains(size))
            && [layer.channels, layer.filters]
                .iter()
                .all(|count| (1..=MAX_CHANNELS).contains(count));
        if !known {
            return None;
        }
        let workers = workers.max(1);
        let doubled = layer.transposed.is_some();
        let (method, blocks, width) = if doubled || in_planes(&layer) {
            let rows = Rows::new(
                layer.input,
                layer.filters,
                [layer.kernel[1], layer.kernel[2]],
            );
            let planes = if doubled { 1 } else { algorithm(&layer).planes };
            let blocks = rows.blocks() * layer.input[0].div_ceil(planes);
            let method = Method::Planes {
                rows,
                planes,
                doubled,
            };
            (method, blocks, rows.width())
        } else {
            let positions: usize = output.iter().product();
            let blocks = positions.div_ceil(PANELS * PANEL).next_multiple_of(workers);
            let blocks = blocks.min(positions.div_ceil(PANEL));
            let block = positions.div_ceil(blocks).next_multiple_of(PANEL);
            (Method::Packed(block), positions.div_ceil(block), block)
        };
        // Channels that are multiplied in one pass: independent of the number of workers, so that sums are
        // reproducible.
        let (taps, floats, most) = match &method {
            Method::Planes { rows, .. } => {
                let (mixes, taps) = match doubled {
                    true => (DOUBLED.len(), 8),
                    false => {
                        let mixes = algorithm(&layer).mixes();
                        (mixes, plane_taps(&layer) * mixes)
                    }
                };
                (taps, rows.stride() * mixes, rows.stride() * mixes)
            }
            Method::Packed(_) => {
                let positions: usize = output.iter().product();
                let most = positions.next_multiple_of(PANEL).min(PANELS * PANEL);
                let taps = layer.taps();
                (taps, width * taps, most * taps)
            }
        };
        let most = (DEPTH / taps).min(2 * CACHED / most).max(1);
        let part = layer.channels.div_ceil(layer.channels.div_ceil(most));
        let fills = fills(&layer, &method, part)?;
        let targets = match method {
            Method::Planes { doubled: true, .. } => 8,
            Method::Planes { planes, .. } => planes,
            Method::Packed(_) => 1,
        };
        // Whole tiles of filters, and work for all workers.
        let rows = instructions.rows();
        let tiles = layer.filters.div_ceil(rows);
        let most = (CACHED / (width * targets) / rows).max(1);
        let shares = tiles.div_ceil(most).max(workers.div_ceil(blocks));
        let share = tiles.div_ceil(shares) * rows;
        Some(Self {
            instructions,
            layer,
            output,
            method,
            fills,
            blocks,
            targets,
            width,
            share,
            part,
            inputs: part * floats,
            workers,
        })
    }

    /// Floats of sums that a worker has.
    pub(super) fn sums(&self) -> usize {
        self.targets * self.share * self.width
    }

    /// Memory of the workers in bytes.
    pub(crate) fn scratch_bytes(&self) -> usize {
        let floats = (self.inputs + self.sums()).next_multiple_of(LANES);
        self.workers * floats * size_of::<f32>()
    }

    pub(super) fn products(&self) -> impl Iterator<Item = &Product> {
        self.fills.iter().flat_map(|fill| &fill.products)
    }

    /// Weights that it takes.
    pub(super) fn weights(&self) -> usize {
        self.products()
            .map(|product| product.weights.end)
            .max()
            .unwrap_or(0)
    }

    /// Whether these are the network's.
    pub(super) fn takes_own_weights(&self) -> bool {
        let own = |product: &Product| matches!(product.source, WeightSource::Network);
        self.products().all(own)
    }

    /// Bytes of the weights that are kept in another form.
    pub(crate) fn transformed_bytes(&self) -> usize {
        match self.takes_own_weights() {
            true => 0,
            false => self.weights() * size_of::<f32>(),
        }
    }
}

/// Whether kernels have 3 or 1 voxels along every axis, more than one in all, there is as much output as input, and planes
/// and their rows are large enough.
fn in_planes(layer: &VolumeConvolution) -> bool {
    let VolumeConvolution {
        kernel,
        stride,
        before,
        after,
        input: [_, y, z],
        ..
    } = *layer;
    let beside = kernel.map(|size| size / 2);
    kernel.iter().all(|size| [1, 3].contains(size))
        && kernel != [1; 3]
        && [stride, before, after] == [[1; 3], beside, beside]
        && y * z >= PANEL
        && (kernel == [3; 3] || kernel[2] == 1 || z >= ROW)
}

/// The convolution of planes of one voxel as one of rows of one plane each: the same voxels in the same order. Long rows
/// are faster, and planes have [`algorithm`]s.
fn flat(layer: VolumeConvolution) -> VolumeConvolution {
    let ([.., 1], [.., 1], None) = (layer.input, layer.kernel, layer.transposed) else {
        return layer;
    };
    if [layer.stride[2], layer.before[2] + 1, layer.after[2] + 1] != [1; 3] {
        return layer;
    }
    let turned = |[x, y, z]: [usize; 3]| [x, z, y];
    VolumeConvolution {
        kernel: turned(layer.kernel),
        stride: turned(layer.stride),
        before: turned(layer.before),
        after: turned(layer.after),
        input: turned(layer.input),
        ..layer
    }
}

/// Weights of a plane of a kernel.
fn plane_taps(layer: &VolumeConvolution) -> usize {
    layer.kernel[1] * layer.kernel[2]
}

/// The algorithm with the fewest products whose weights are within the limit.
fn algorithm(layer: &VolumeConvolution) -> &'static WinogradAlgorithm {
    if layer.kernel[0] == 1 {
        return &winograd::SINGLE;
    }
    let weights = layer.filters * layer.channels * plane_taps(layer);
    let fits = |algorithm: &&WinogradAlgorithm| {
        let bytes = algorithm.products.len() * weights * size_of::<f32>();
        !algorithm.transforms() || layer.channels >= FEW && bytes <= TRANSFORMED_BYTES
    };
    [&winograd::FOUR, &winograd::TWO, &winograd::DIRECT]
        .into_iter()
        .filter(fits)
        .min_by_key(|algorithm| algorithm.cost(layer.input[0]))
        .unwrap_or(&winograd::DIRECT)
}

fn fills(layer: &VolumeConvolution, method: &Method, part: usize) -> Option<Vec<Fill>> {
    let pairs = layer.filters * layer.channels;
    let mut end = 0;
    let mut product = |taps: usize, offsets: Vec<u32>, targets: &[(usize, f32)], source| {
        let start = end;
        end += pairs * taps;
        Product {
            taps,
            offsets,
            weights: start..end,
            targets: targets.to_vec(),
            source,
        }
    };
    Some(match method {
        Method::Planes {
            rows,
            doubled: false,
            ..
        } => {
            let fill = |of: &'static winograd::WinogradProduct| Fill {
                mixes: of.mixes,
                products: vec![product(
                    plane_taps(layer) * of.mixes.len(),
                    rows.offsets(part * of.mixes.len(), [layer.kernel[1], layer.kernel[2]]),
                    of.targets,
                    of.kernel
                        .map_or(WeightSource::Network, WeightSource::Planes),
                )],
            };
            algorithm(layer).products.iter().map(fill).collect()
        }
        Method::Planes { rows, .. } => {
            let [_, y, z] = layer.input;
            if y * z < PANEL || pairs * layer.taps() * size_of::<f32>() > TRANSFORMED_BYTES {
                return None;
            }
            let of = |phase: OutputPhase| {
                let mut offsets = Vec::with_capacity(part * phase.taps.len());
                for channel in 0..part {
                    for (_, [x, y, z]) in &phase.taps {
                        offsets.push(rows.offset(channel * DOUBLED.len() + x, y + 1, z + 1));
                    }
                }
                let targets = [(phase.index, 1.)];
                product(
                    phase.taps.len(),
                    offsets,
                    &targets,
                    WeightSource::Phase(phase),
                )
            };
            vec![Fill {
                mixes: DOUBLED,
                products: output_phases(layer)?.into_iter().map(of).collect(),
            }]
        }
        Method::Packed(_) => {
            let offsets = (0..part * layer.taps())
                .map(|k| (k * PANEL) as u32)
                .collect();
            vec![Fill {
                mixes: &[],
                products: vec![product(
                    layer.taps(),
                    offsets,
                    &[(0, 1.)],
                    WeightSource::Network,
                )],
            }]
        }
    })
}
