//! Inputs of the outputs of a convolution or of its gradient.

use std::ops::Range;

use crate::geometry::ConvGeometry;

/// Outputs along one axis that use the same taps.
///
/// Output `step · b + shift` for `b` in `range` is the sum over `j` of tap `taps[j]` times input
/// `advance · b + first + j`.
#[derive(Debug, Clone)]
pub struct AxisPhase {
    pub range: Range<isize>,
    pub shift: isize,
    pub first: isize,
    pub taps: Vec<usize>,
}

/// All outputs along one axis, by phase.
#[derive(Debug, Clone)]
pub struct AxisGather {
    pub step: usize,
    pub advance: usize,
    pub phases: Vec<AxisPhase>,
    /// `b` of output `p` is `floor((p + lead) / step)`.
    pub lead: usize,
}

impl AxisGather {
    /// A convolution has one phase: output `b` reads inputs from `stride · b - padding` on.
    pub fn convolution(outputs: usize, geometry: ConvGeometry, axis: usize) -> Self {
        let phase = AxisPhase {
            range: 0..outputs as isize,
            shift: 0,
            first: -(geometry.padding[axis] as isize),
            taps: (0..geometry.kernel[axis]).collect(),
        };
        Self {
            step: 1,
            advance: geometry.stride[axis],
            phases: vec![phase],
            lead: 0,
        }
    }

    /// Its gradient has one phase per remainder of `p + padding` by the stride: input `p` contributed by tap `t` to
    /// output `(p + padding - t) / stride`, where that is an integer.
    pub fn input_gradient(inputs: usize, geometry: ConvGeometry, axis: usize) -> Self {
        let [kernel, stride, padding] = [geometry.kernel, geometry.stride, geometry.padding]
            .map(|values| values[axis] as isize);
        let phase = |remainder: isize| {
            let taps: Vec<usize> = (remainder..kernel)
                .step_by(stride as usize)
                .map(|tap| tap as usize)
                .rev()
                .collect();
            let shift = remainder - padding;
            AxisPhase {
                range: ceiling(-shift, stride)..ceiling(inputs as isize - shift, stride),
                shift,
                first: 1 - taps.len() as isize,
                taps,
            }
        };
        Self {
            step: stride as usize,
            advance: 1,
            phases: (0..stride).map(phase).collect(),
            lead: padding as usize,
        }
    }

    /// All `b` of outputs.
    pub fn range(&self) -> Range<isize> {
        let occupied = || {
            self.phases
                .iter()
                .map(|phase| phase.range.clone())
                .filter(|range| !range.is_empty())
        };
        let start = occupied().map(|range| range.start).min().unwrap_or(0);
        start..occupied().map(|range| range.end).max().unwrap_or(start)
    }

    /// Inputs that the outputs of `range` read.
    pub fn inputs(&self, range: &Range<isize>) -> Range<isize> {
        let advance = self.advance as isize;
        let reading = || self.phases.iter().filter(|phase| !phase.taps.is_empty());
        let start = reading().map(|phase| phase.first).min().unwrap_or(0) + advance * range.start;
        let end = reading()
            .map(|phase| phase.first + phase.taps.len() as isize)
            .max()
            .unwrap_or(0)
            + advance * (range.end - 1);
        start..end.max(start)
    }

    /// Outputs of a range of `b`.
    pub fn outputs(&self, range: &Range<isize>, outputs: usize) -> Range<usize> {
        let position = |b: isize| {
            (self.step as isize * b - self.lead as isize).clamp(0, outputs as isize) as usize
        };
        position(range.start)..position(range.end)
    }
}

fn ceiling(numerator: isize, denominator: isize) -> isize {
    (numerator + denominator - 1).div_euclid(denominator)
}

/// Target size of a window in values: half of a common second-level cache.
const WINDOW_VALUES: usize = 96 * 1024;

/// Splits the `b` of x and y into blocks whose windows fit the cache, at least `parts` of them if there are enough
/// rows.
pub fn blocks(axes: &[AxisGather; 3], channels: usize, parts: usize) -> Vec<[Range<isize>; 2]> {
    let [x, y, z] = [0, 1, 2].map(|axis| axes[axis].range());
    let depth = axes[2].inputs(&z).len().max(1) * channels;
    let window = |axis: usize, count: usize| axes[axis].inputs(&(0..count as isize)).len();
    let fits = |count_x: usize, count_y: usize| {
        window(0, count_x) * window(1, count_y) * depth <= WINDOW_VALUES
            && x.len().div_ceil(count_x) * y.len().div_ceil(count_y) >= parts
    };
    let (mut count_x, mut count_y) = (x.len().max(1), y.len().max(1));
    while count_x > 1 && !fits(count_x, count_y) {
        count_x = count_x.div_ceil(2);
    }
    while count_y > 1 && !fits(count_x, count_y) {
        count_y = count_y.div_ceil(2);
    }
    let mut blocks = Vec::new();
    for x in pieces(x, count_x) {
        for y in pieces(y.clone(), count_y) {
            blocks.push([x.clone(), y]);
        }
    }
    blocks
}

fn pieces(range: Range<isize>, length: usize) -> impl Iterator<Item = Range<isize>> {
    let end = range.end;
    range
        .step_by(length)
        .map(move |start| start..(start + length as isize).min(end))
}
