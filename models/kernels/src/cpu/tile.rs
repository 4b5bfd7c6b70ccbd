//! Register tiles of convolutions.

use super::lanes::{LANES, Lanes, Vectorized};
use super::packing::{ChannelBlock, WIDEST};

/// Voxels per register tile with one and with two vectors of channels.
const NARROW_VOXELS: usize = 10;
const WIDE_VOXELS: usize = 6;

#[derive(Clone, Copy)]
pub struct Voxel {
    /// Offset of its first input in the window.
    pub start: usize,
    /// Row of the output.
    pub row: usize,
    /// Offset in the row.
    pub to: usize,
}

/// Output voxels of one phase.
pub struct Tiles<'a, 'b> {
    pub voxels: Vec<Voxel>,
    /// From the first input of a voxel to the first of each row of taps.
    pub rows: Vec<usize>,
    /// Inputs per row of taps.
    pub run: usize,
    pub window: &'a [f32],
    pub blocks: &'a [ChannelBlock],
    pub output: &'a mut [&'b mut [f32]],
}

impl Vectorized for Tiles<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(mut self) {
        for block in self.blocks {
            match block.vectors {
                1 => self.block::<L, NARROW_VOXELS, 1>(block),
                _ => self.block::<L, WIDE_VOXELS, 2>(block),
            }
        }
    }
}

impl Tiles<'_, '_> {
    /// All voxels of a block of channels.
    #[inline(always)]
    fn block<L: Lanes, const M: usize, const V: usize>(&mut self, block: &ChannelBlock) {
        let (weights, _) = block.weights.as_chunks::<V>();
        for voxels in self.voxels.chunks(M) {
            let mut starts = [voxels[0].start; M];
            for (start, voxel) in starts.iter_mut().zip(voxels) {
                *start = voxel.start;
            }
            let sums = tile::<L, M, V>(
                self.window,
                &starts,
                &self.rows,
                self.run,
                weights,
                &block.bias,
            );
            for (sums, voxel) in sums.iter().zip(voxels) {
                let to = voxel.to + block.first;
                let to = &mut self.output[voxel.row][to..to + block.count];
                let (vectors, rest) = to.as_chunks_mut::<LANES>();
                for (to, sum) in vectors.iter_mut().zip(sums) {
                    *to = sum.values();
                }
                if let Some(sum) = sums.get(vectors.len()) {
                    for (to, sum) in rest.iter_mut().zip(sum.values()) {
                        *to = sum;
                    }
                }
            }
        }
    }
}

/// `M` voxels by `V` vectors of channels, kept in registers over all inputs.
#[inline(always)]
fn tile<L: Lanes, const M: usize, const V: usize>(
    window: &[f32],
    starts: &[usize; M],
    rows: &[usize],
    run: usize,
    weights: &[[[f32; LANES]; V]],
    bias: &[[f32; LANES]; WIDEST],
) -> [[L; V]; M] {
    let zero = L::splat(0.0);
    let mut sums = [[zero; V]; M];
    for sums in &mut sums {
        for (sum, bias) in sums.iter_mut().zip(bias) {
            *sum = L::load(bias);
        }
    }
    for (&row, weights) in rows.iter().zip(weights.chunks_exact(run.max(1))) {
        // Slices of one known length need no checks in the inner loop.
        let length = weights.len();
        let mut inputs = [window; M];
        for (input, &start) in inputs.iter_mut().zip(starts) {
            *input = &window[start + row..][..length];
        }
        for i in 0..length {
            let mut factors = [zero; V];
            for (factor, weights) in factors.iter_mut().zip(&weights[i]) {
                *factor = L::load(weights);
            }
            for m in 0..M {
                let value = L::splat(inputs[m][i]);
                for v in 0..V {
                    sums[m][v] = value.multiply_add(factors[v], sums[m][v]);
                }
            }
        }
    }
    sums
}
