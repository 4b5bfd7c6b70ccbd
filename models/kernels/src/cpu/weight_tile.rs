//! The register tiles of the gradient with respect to the weights.

use super::lanes::{LANES, Lanes, Vectorized};

/// Vectors of inputs and output channels per register tile.
pub const TILE_VECTORS: usize = 3;
const TILE_CHANNELS: usize = 4;

/// Consecutive output voxels along z.
#[derive(Clone, Copy)]
pub struct Row {
    /// Offset of its first input in the window.
    pub start: usize,
    /// Offset of its gradient.
    pub gradient: usize,
    pub voxels: usize,
}

/// Some of the sums over the voxels of a block.
pub struct Piece<'a> {
    pub rows: Vec<Row>,
    /// Rows that are in the cache together.
    pub per_chunk: usize,
    /// From the first input of a voxel to that of the next.
    pub advance: usize,
    /// Channels of the gradient.
    pub channels: usize,
    /// From the first input of a voxel to each vector of inputs.
    pub offsets: Vec<usize>,
    pub window: &'a [f32],
    pub gradient: &'a [f32],
    /// `[offsets, channels]`.
    pub sums: &'a mut [[f32; LANES]],
}

impl Vectorized for Piece<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(mut self) {
        let rows = std::mem::take(&mut self.rows);
        for rows in rows.chunks(self.per_chunk) {
            let mut first = 0;
            while first < self.offsets.len() {
                let offsets = &self.offsets[first..];
                let contiguous = offsets.len() >= TILE_VECTORS
                    && offsets[TILE_VECTORS - 1] - offsets[0] == (TILE_VECTORS - 1) * LANES;
                match (offsets.len(), contiguous) {
                    (1, _) => self.vectors::<L, 1, false>(rows, first),
                    (2, _) => self.vectors::<L, 2, false>(rows, first),
                    (_, false) => self.vectors::<L, TILE_VECTORS, false>(rows, first),
                    (_, true) => self.vectors::<L, TILE_VECTORS, true>(rows, first),
                }
                first += TILE_VECTORS;
            }
        }
    }
}

impl Piece<'_> {
    /// All channels of `V` vectors of inputs.
    #[inline(always)]
    fn vectors<L: Lanes, const V: usize, const CONTIGUOUS: bool>(
        &mut self,
        rows: &[Row],
        first: usize,
    ) {
        let mut channel = 0;
        while channel < self.channels {
            match self.channels - channel {
                1 => self.tile::<L, V, 1, CONTIGUOUS>(rows, first, channel),
                2 => self.tile::<L, V, 2, CONTIGUOUS>(rows, first, channel),
                3 => self.tile::<L, V, 3, CONTIGUOUS>(rows, first, channel),
                _ => self.tile::<L, V, TILE_CHANNELS, CONTIGUOUS>(rows, first, channel),
            }
            channel += TILE_CHANNELS;
        }
    }

    /// `V` vectors of inputs by `K` channels, kept in registers over the voxels of some rows.
    #[inline(always)]
    fn tile<L: Lanes, const V: usize, const K: usize, const CONTIGUOUS: bool>(
        &mut self,
        rows: &[Row],
        first: usize,
        channel: usize,
    ) {
        let mut sums = [[L::splat(0.0); K]; V];
        for (v, sums) in sums.iter_mut().enumerate() {
            let from = (first + v) * self.channels + channel;
            for (sum, from) in sums.iter_mut().zip(&self.sums[from..from + K]) {
                *sum = L::load(from);
            }
        }
        let mut offsets = [0; V];
        offsets.copy_from_slice(&self.offsets[first..first + V]);
        // Slices of known lengths need few checks in the inner loop.
        for row in rows {
            let reach = if CONTIGUOUS { V * LANES } else { LANES };
            let input_length = (row.voxels - 1) * self.advance + reach;
            let gradient_length = (row.voxels - 1) * self.channels + K;
            let mut inputs = [self.window; V];
            let slices = if CONTIGUOUS { 1 } else { V };
            for (input, offset) in inputs[..slices].iter_mut().zip(offsets) {
                *input = &self.window[row.start + offset..][..input_length];
            }
            let gradient = &self.gradient[row.gradient + channel..][..gradient_length];
            let (mut input_at, mut gradient_at) = (0_usize, 0_usize);
            for _ in 0..row.voxels {
                let mut values = [L::splat(0.0); V];
                if CONTIGUOUS {
                    let vectors = vectors::<V>(inputs[0], input_at);
                    for v in 0..V {
                        values[v] = L::load(&vectors[v]);
                    }
                } else {
                    for v in 0..V {
                        values[v] = L::load(&vectors::<1>(inputs[v], input_at)[0]);
                    }
                }
                let gradient = &gradient[gradient_at..][..K];
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
        for (v, sums) in sums.into_iter().enumerate() {
            let to = (first + v) * self.channels + channel;
            for (to, sum) in self.sums[to..to + K].iter_mut().zip(sums) {
                *to = sum.values();
            }
        }
    }
}

/// `V` consecutive vectors.
#[inline(always)]
fn vectors<const V: usize>(values: &[f32], at: usize) -> &[[f32; LANES]] {
    let (vectors, _) = values[at..][..V * LANES].as_chunks();
    &vectors[..V]
}
