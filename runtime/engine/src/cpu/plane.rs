//! Rows of planes with zeros between them, from which tiles read inputs at any offset.

use std::ops::Range;

use super::processor::Instructions;
use super::tile::{LANES, PANEL};
use super::winograd::Mix;

/// Rows of the output that are computed together, and how their inputs lie in memory.
///
/// A row is its voxels and one zero, which separates it from the next one, so that adjacent positions have adjacent
/// inputs. Results for the zeros are not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rows {
    /// Voxels of the volume.
    pub volume: [usize; 3],
    /// Rows of the output in a block, but for the last one.
    pub count: usize,
}

/// Approximate number of positions in a block.
const POSITIONS: usize = 288;
/// Approximate cycles per row of inputs, besides one per voxel.
const ROW_CYCLES: usize = 30;

impl Rows {
    /// Chooses the number of rows of a block for a convolution with this number of filters, and of weights of a plane of
    /// kernels: the fastest.
    pub fn new(volume: [usize; 3], filters: usize, taps: usize) -> Self {
        let [_, height, _] = volume;
        let of = |count| Self { volume, count };
        let most = (POSITIONS / of(1).pitch()).clamp(1, height);
        // Cycles of a channel: products of groups of positions with weights, and rows of inputs, two more than of outputs.
        let time = |&count: &usize| {
            let block = |first: usize| {
                let rows = count.min(height - first);
                of(count).groups(rows) * taps * filters
                    + (rows + 2) * (of(count).pitch() + ROW_CYCLES)
            };
            (0..height).step_by(count).map(block).sum::<usize>()
        };
        of((1..=most).min_by_key(time).unwrap_or(1))
    }

    /// From row to row.
    pub fn pitch(&self) -> usize {
        self.volume[2] + 1
    }

    pub fn blocks(&self) -> usize {
        self.volume[1].div_ceil(self.count)
    }

    /// Groups of positions in this number of rows.
    pub fn groups(&self, rows: usize) -> usize {
        (rows * self.pitch() - 1).div_ceil(LANES)
    }

    /// From sums of planes to the next ones: two rows more than the output, and the reach of a panel beyond them.
    pub fn stride(&self) -> usize {
        ((self.count + 2) * self.pitch() + 1 + PANEL).next_multiple_of(LANES)
    }

    /// Floats of sums of a block's positions, in whole panels.
    pub fn width(&self) -> usize {
        (self.groups(self.count) * LANES).next_multiple_of(PANEL)
    }

    /// Offset of the input of position 0 for a row and voxel of a sum of planes, counted from one row and one voxel
    /// before.
    pub fn offset(&self, sum: usize, row: usize, voxel: usize) -> u32 {
        (sum * self.stride() + row * self.pitch() + voxel) as u32
    }

    /// Offsets of the inputs of position 0, for every sum of planes and every row and voxel of kernels of 1 or 3 of each.
    pub fn offsets(&self, sums: usize, [rows, voxels]: [usize; 2]) -> Vec<u32> {
        // A single one is in the middle of three.
        let taps = |size: usize| 1 - size / 2..2 + size / 2;
        let mut offsets = Vec::with_capacity(sums * rows * voxels);
        for sum in 0..sums {
            for row in taps(rows) {
                offsets.extend(taps(voxels).map(|voxel| self.offset(sum, row, voxel)));
            }
        }
        offsets
    }

    /// Packs the rows of a block, for every channel and mix of planes `x + offset`.
    pub fn fill(
        &self,
        instructions: Instructions,
        input: &[f32],
        mixes: &[Mix],
        x: usize,
        rows: Range<usize>,
        to: &mut [f32],
    ) {
        match instructions {
            // SAFETY: the processor has these instructions.
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx512 | Instructions::Avx2 => unsafe {
                self.fill_avx2(input, mixes, x, rows, to);
            },
        }
    }

    #[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2,fma"))]
    fn fill_avx2(
        &self,
        input: &[f32],
        mixes: &[Mix],
        x: usize,
        rows: Range<usize>,
        to: &mut [f32],
    ) {
        let [depth, height, width] = self.volume;
        let volume = depth * height * width;
        let mut sums = to.chunks_exact_mut(self.stride());
        for channel in input.chunks_exact(volume) {
            for mix in mixes {
                let Some(sum) = sums.next() else {
                    return;
                };
                // The planes inside the volume.
                let mut planes = [(&channel[..0], 0.); 4];
                let mut count = 0;
                for &(offset, factor) in *mix {
                    let plane = x.checked_add_signed(offset).filter(|&plane| plane < depth);
                    if let Some(plane) = plane {
                        planes[count] =
                            (&channel[plane * height * width..][..height * width], factor);
                        count += 1;
                    }
                }
                let to = sum.chunks_exact_mut(self.pitch());
                for (row, to) in (0..rows.len() + 2).zip(to) {
                    let row = (rows.start + row)
                        .checked_sub(1)
                        .filter(|&row| row < height);
                    let Some(row) = row else {
                        to.fill(0.);
                        continue;
                    };
                    to[0] = 0.;
                    let row = row * width..(row + 1) * width;
                    let rows = planes.map(|(plane, factor)| {
                        (plane.get(row.clone()).unwrap_or_default(), factor)
                    });
                    let to = &mut to[1..];
                    match count {
                        0 => to.fill(0.),
                        1 if rows[0].1 == 1. => to.copy_from_slice(rows[0].0),
                        1 => mix_rows([rows[0]], to),
                        2 => mix_rows([rows[0], rows[1]], to),
                        3 => mix_rows([rows[0], rows[1], rows[2]], to),
                        _ => mix_rows(rows, to),
                    }
                }
                // The zero that ends the last row.
                sum[(rows.len() + 2) * self.pitch()] = 0.;
            }
        }
    }
}

/// Weighted sum of rows of the same length.
#[inline]
#[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2,fma"))]
fn mix_rows<const COUNT: usize>(rows: [(&[f32], f32); COUNT], to: &mut [f32]) {
    let length = to.len();
    let rows = rows.map(|(row, factor)| (&row[..length], factor));
    for z in 0..length {
        let mut sum = rows[0].0[z] * rows[0].1;
        for (row, factor) in &rows[1..] {
            sum = row[z].mul_add(*factor, sum);
        }
        to[z] = sum;
    }
}
