//! Values per channel, and sums over voxels.

use rayon::prelude::*;

use super::dispatch::vectorized;
use super::lanes::{Lanes, Vectorized};

/// Least number of values per row: enough for whole vectors, whatever the number of channels.
const ROW: usize = 256;
/// Rows per chunk: few enough for a chunk to stay in the first-level cache.
const ROWS: usize = 24;

/// Division of channels-last values into rows of whole voxels, and of rows into chunks within one case.
#[derive(Clone, Copy)]
pub struct Chunks {
    pub channels: usize,
    /// Values per case.
    pub case: usize,
}

impl Chunks {
    /// The division of activations `[N, X, Y, Z, C]`.
    pub fn of_shape([_, x, y, z, channels]: [usize; 5]) -> Self {
        Self {
            channels,
            case: x * y * z * channels,
        }
    }

    /// Values per row.
    pub fn row(&self) -> usize {
        ROW.div_ceil(self.channels) * self.channels
    }

    /// Values per chunk.
    pub fn chunk(&self) -> usize {
        self.row() * ROWS
    }

    pub fn per_case(&self) -> usize {
        self.case.div_ceil(self.chunk())
    }

    /// All chunks in order, with the case of each.
    pub fn of<'a>(&self, values: &'a [f32]) -> Vec<(usize, &'a [f32])> {
        let cases = values.chunks_exact(self.case).enumerate();
        cases
            .flat_map(|(case, values)| values.chunks(self.chunk()).map(move |chunk| (case, chunk)))
            .collect()
    }

    /// All chunks in order, for writing.
    pub fn of_mut<'a>(&self, values: &'a mut [f32]) -> Vec<&'a mut [f32]> {
        let cases = values.chunks_exact_mut(self.case);
        cases
            .flat_map(|values| values.chunks_mut(self.chunk()))
            .collect()
    }

    /// Values per channel repeated to a row.
    pub fn repeated(&self, values: impl Iterator<Item = f32> + Clone) -> Vec<f32> {
        values.cycle().take(self.row()).collect()
    }

    /// Sums of a row per channel.
    pub fn folded(&self, row: &[f32]) -> Vec<f64> {
        let mut sums = vec![0.0; self.channels];
        for voxel in row.chunks_exact(self.channels) {
            for (sum, value) in sums.iter_mut().zip(voxel) {
                *sum += f64::from(*value);
            }
        }
        sums
    }
}

/// Sums over all voxels and cases per channel.
pub fn channel_sums(values: &[f32], chunks: Chunks) -> Vec<f32> {
    let partial: Vec<Vec<f64>> = chunks
        .of(values)
        .into_par_iter()
        .map(|(_, chunk)| {
            let mut sums = vec![0.0; chunks.row()];
            vectorized(RowSums {
                values: chunk,
                sums: &mut sums,
            });
            chunks.folded(&sums)
        })
        .collect();
    total(&partial, chunks.channels)
        .into_iter()
        .map(|sum| sum as f32)
        .collect()
}

/// Sums of equally long vectors in order.
pub fn total(partial: &[Vec<f64>], length: usize) -> Vec<f64> {
    let mut total = vec![0.0; length];
    for partial in partial {
        for (total, value) in total.iter_mut().zip(partial) {
            *total += value;
        }
    }
    total
}

/// Sums of rows, of which the last may be shorter.
pub struct RowSums<'a> {
    pub values: &'a [f32],
    pub sums: &'a mut [f32],
}

impl Vectorized for RowSums<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        for row in self.values.chunks(self.sums.len()) {
            for (sum, value) in self.sums.iter_mut().zip(row) {
                *sum += value;
            }
        }
    }
}
