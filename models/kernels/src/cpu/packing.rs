//! Weights in the order in which a register tile reads them.

use rayon::prelude::*;

use super::lanes::LANES;

/// Most vectors of output channels per register tile.
pub const WIDEST: usize = 2;

/// Strides of weights between channels; taps are contiguous.
#[derive(Clone, Copy)]
pub struct WeightStrides {
    /// From one input channel to the next.
    pub input: usize,
    /// From one output channel to the next.
    pub output: usize,
}

/// The weights of output channels that are computed together.
pub struct ChannelBlock {
    /// The first output channel.
    pub first: usize,
    /// Number of output channels; the weights beyond are zeros.
    pub count: usize,
    /// Number of vectors that the channels fill.
    pub vectors: usize,
    pub bias: [[f32; LANES]; WIDEST],
    /// `[taps, input channels, vectors]`.
    pub weights: Vec<[f32; LANES]>,
}

/// Packs the weights of some taps.
///
/// **Shapes**: `channels` are those of inputs and outputs.
pub fn pack(
    weight: &[f32],
    strides: WeightStrides,
    taps: &[usize],
    channels: [usize; 2],
    bias: Option<&[f32]>,
) -> Vec<ChannelBlock> {
    let [inputs, outputs] = channels;
    let width = WIDEST * LANES;
    let block = |first: usize| {
        let count = (outputs - first).min(width);
        let vectors = count.div_ceil(LANES);
        let mut weights = vec![[0.0; LANES]; taps.len() * inputs * vectors];
        for input in 0..inputs {
            let from = input * strides.input + first * strides.output;
            for (position, &tap) in taps.iter().enumerate() {
                let to = (position * inputs + input) * vectors;
                let to = weights[to..to + vectors].as_flattened_mut();
                for (output, to) in to[..count].iter_mut().enumerate() {
                    *to = weight[from + output * strides.output + tap];
                }
            }
        }
        let mut biases = [[0.0; LANES]; WIDEST];
        if let Some(bias) = bias {
            biases.as_flattened_mut()[..count].copy_from_slice(&bias[first..first + count]);
        }
        ChannelBlock {
            first,
            count,
            vectors,
            bias: biases,
            weights,
        }
    };
    let firsts: Vec<usize> = (0..outputs).step_by(width).collect();
    firsts.into_par_iter().map(block).collect()
}
