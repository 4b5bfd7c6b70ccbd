//! Convolution and its gradient with respect to the input.

use std::ops::Range;

use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::dense;
use super::dispatch::vectorized;
use super::gather::{AxisGather, AxisPhase, blocks};
use super::packing::{ChannelBlock, WeightStrides, pack};
use super::tile::{Tiles, Voxel};
use super::window::{CaseActivations, Window};
use crate::geometry::ConvGeometry;

pub fn conv(
    x: FlexTensor,
    weight: FlexTensor,
    bias: Option<FlexTensor>,
    geometry: ConvGeometry,
) -> FlexTensor {
    let [n, x_shape @ .., c] = dense::shape::<5>(&x);
    let [k, ..] = dense::shape::<5>(&weight);
    let shape: [usize; 3] = geometry.output_shape(x_shape);
    let taps: usize = geometry.kernel.iter().product();
    let (x, weight) = (x.to_contiguous(), weight.to_contiguous());
    let bias = bias.map(|bias| bias.to_contiguous());
    let correlation = Correlation {
        axes: [0, 1, 2].map(|axis| AxisGather::convolution(shape[axis], geometry, axis)),
        input_shape: x_shape,
        output_shape: shape,
        channels: [c, k],
        kernel: geometry.kernel,
        strides: WeightStrides {
            input: taps,
            output: c * taps,
        },
    };
    let bias = bias.as_ref().map(|bias| bias.storage::<f32>());
    let output = correlation.compute(n, x.storage(), weight.storage(), bias);
    dense::tensor(output, [n, shape[0], shape[1], shape[2], k])
}

pub fn conv_input_gradient(
    gradient: FlexTensor,
    weight: FlexTensor,
    shape: [usize; 3],
    geometry: ConvGeometry,
) -> FlexTensor {
    let [n, gradient_shape @ .., k] = dense::shape::<5>(&gradient);
    let [_, c, ..] = dense::shape::<5>(&weight);
    let taps: usize = geometry.kernel.iter().product();
    let (gradient, weight) = (gradient.to_contiguous(), weight.to_contiguous());
    let correlation = Correlation {
        axes: [0, 1, 2].map(|axis| AxisGather::input_gradient(shape[axis], geometry, axis)),
        input_shape: gradient_shape,
        output_shape: shape,
        channels: [k, c],
        kernel: geometry.kernel,
        strides: WeightStrides {
            input: c * taps,
            output: taps,
        },
    };
    let output = correlation.compute(n, gradient.storage(), weight.storage(), None);
    dense::tensor(output, [n, shape[0], shape[1], shape[2], c])
}

/// Sums of taps times inputs, one per output.
struct Correlation {
    axes: [AxisGather; 3],
    input_shape: [usize; 3],
    output_shape: [usize; 3],
    /// Channels of inputs and of outputs.
    channels: [usize; 2],
    kernel: [usize; 3],
    strides: WeightStrides,
}

/// Outputs that use the same taps, and the weights of these.
struct OutputPhase<'a> {
    axes: [&'a AxisPhase; 3],
    blocks: Vec<ChannelBlock>,
}

/// Output rows that one thread computes.
struct Share<'a> {
    case: usize,
    block: [Range<isize>; 2],
    /// Positions in x and y.
    outputs: [Range<usize>; 2],
    /// `[Z, C]` each.
    rows: Vec<&'a mut [f32]>,
}

impl Correlation {
    fn compute(&self, cases: usize, x: &[f32], weight: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
        let voxels: usize = self.output_shape.iter().product();
        let mut output = dense::zeros(cases * voxels * self.channels[1]);
        if output.is_empty() {
            return output;
        }
        let phases = self.phases(weight, bias);
        let size = self.input_shape.iter().product::<usize>() * self.channels[0];
        self.shares(cases, &mut output)
            .into_par_iter()
            .for_each_init(Vec::new, |buffer, mut share| {
                let case = CaseActivations {
                    values: &x[share.case * size..][..size],
                    shape: self.input_shape,
                    channels: self.channels[0],
                };
                let window = self.window(case, &share.block, buffer);
                for phase in &phases {
                    vectorized(self.tiles(phase, window, &mut share));
                }
            });
        output
    }

    fn phases(&self, weight: &[f32], bias: Option<&[f32]>) -> Vec<OutputPhase<'_>> {
        let [_, kernel_y, kernel_z] = self.kernel;
        let mut phases = Vec::new();
        for x in &self.axes[0].phases {
            for y in &self.axes[1].phases {
                for z in &self.axes[2].phases {
                    let mut taps = Vec::new();
                    for tap_x in &x.taps {
                        for tap_y in &y.taps {
                            let row = (tap_x * kernel_y + tap_y) * kernel_z;
                            taps.extend(z.taps.iter().map(|tap_z| row + tap_z));
                        }
                    }
                    phases.push(OutputPhase {
                        axes: [x, y, z],
                        blocks: pack(weight, self.strides, &taps, self.channels, bias),
                    });
                }
            }
        }
        phases
    }

    fn shares<'a>(&self, cases: usize, output: &'a mut [f32]) -> Vec<Share<'a>> {
        let [size_x, size_y, size_z] = self.output_shape;
        let parts = (4 * rayon::current_num_threads()).div_ceil(cases);
        let blocks = blocks(&self.axes, self.channels[0], parts);
        let mut rows: Vec<_> = output
            .chunks_exact_mut(size_z * self.channels[1])
            .map(Some)
            .collect();
        let mut shares = Vec::with_capacity(cases * blocks.len());
        for case in 0..cases {
            for block in &blocks {
                let outputs = [
                    self.axes[0].outputs(&block[0], size_x),
                    self.axes[1].outputs(&block[1], size_y),
                ];
                let own = outputs[0].clone().flat_map(|x| {
                    let first = (case * size_x + x) * size_y;
                    outputs[1].clone().map(move |y| first + y)
                });
                shares.push(Share {
                    case,
                    block: block.clone(),
                    rows: own.filter_map(|row| rows[row].take()).collect(),
                    outputs,
                });
            }
        }
        shares
    }

    /// The inputs that a block's outputs read.
    fn window<'a>(
        &self,
        case: CaseActivations<'a>,
        [x, y]: &[Range<isize>; 2],
        buffer: &'a mut Vec<f32>,
    ) -> Window<'a> {
        let z = self.axes[2].range();
        let inputs = [
            self.axes[0].inputs(x),
            self.axes[1].inputs(y),
            self.axes[2].inputs(&z),
        ];
        let inside = (0..3)
            .all(|axis| inputs[axis].start >= 0 && inputs[axis].end <= case.shape[axis] as isize);
        if inside {
            return Window::whole(case);
        }
        let origin = [0, 1, 2].map(|axis| inputs[axis].start);
        let shape = [0, 1, 2].map(|axis| inputs[axis].len());
        Window::copy(case, origin, shape, buffer)
    }

    /// The voxels of a phase in a share.
    fn tiles<'a, 'b>(
        &self,
        phase: &'a OutputPhase,
        window: Window<'a>,
        share: &'a mut Share<'b>,
    ) -> Tiles<'a, 'b> {
        let within = |axis: usize| {
            let range = &phase.axes[axis].range;
            match share.block.get(axis) {
                Some(block) => range.start.max(block.start)..range.end.min(block.end),
                None => range.clone(),
            }
        };
        let input =
            |axis: usize, b: isize| self.axes[axis].advance as isize * b + phase.axes[axis].first;
        let output = |axis: usize, b: isize| {
            (self.axes[axis].step as isize * b + phase.axes[axis].shift) as usize
        };
        let empty = phase.axes.iter().any(|axis| axis.taps.is_empty());
        let per_x = share.outputs[1].len();
        let channels = self.channels[1];
        let advance = self.axes[2].advance * window.strides[2];
        let mut voxels = Vec::with_capacity(within(0).len() * within(1).len() * within(2).len());
        for x in within(0) {
            for y in within(1) {
                let row = (output(0, x) - share.outputs[0].start) * per_x
                    + (output(1, y) - share.outputs[1].start);
                let z = within(2);
                let mut start = match empty || z.is_empty() {
                    true => 0,
                    false => window.offset([input(0, x), input(1, y), input(2, z.start)]),
                };
                let mut to = z.clone().next().map_or(0, |z| output(2, z)) * channels;
                for _ in z {
                    voxels.push(Voxel { start, row, to });
                    start += if empty { 0 } else { advance };
                    to += self.axes[2].step * channels;
                }
            }
        }
        let [taps_x, taps_y, taps_z] = phase.axes.map(|axis| axis.taps.len());
        let rows = (0..taps_x)
            .flat_map(|x| (0..taps_y).map(move |y| (x, y)))
            .map(|(x, y)| x * window.strides[0] + y * window.strides[1])
            .collect();
        Tiles {
            voxels,
            rows,
            run: taps_z * self.channels[0],
            window: window.values,
            blocks: &phase.blocks,
            output: &mut share.rows,
        }
    }
}
