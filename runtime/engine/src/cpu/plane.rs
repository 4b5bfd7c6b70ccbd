//! Rows of planes with zeros between them, from which tiles read inputs at any offset.

use std::ops::Range;

use super::processor::Instructions;
use super::tile::{LANES, PANEL};
use super::winograd::Mix;

/// Rows of the output that are computed together, and how their inputs lie in memory.
///
/// A row is its voxels and, for kernels of several voxels along it, one zero, which separates it from the next one, so that
/// adjacent positions have adjacent inputs. Results for the zeros are not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rows {
    /// Voxels of the volume.
    pub volume: [usize; 3],
    /// Rows of the output in a block, but for the last one.
    pub count: usize,
    /// Zeros between rows: 1, or 0 for kernels of one voxel along rows.
    pub gap: usize,
}

/// Approximate number of positions in a block.
const POSITIONS: usize = 288;
/// Approximate cycles per row of inputs, besides one per voxel.
const ROW_CYCLES: usize = 30;

impl Rows {
    /// Chooses the number of rows of a block for a convolution with this number of filters, and of rows and voxels of
    /// a plane of kernels: the fastest.
    pub fn new(volume: [usize; 3], filters: usize, [rows, voxels]: [usize; 2]) -> Self {
        let [_, height, _] = volume;
        let (taps, gap) = (rows * voxels, usize::from(voxels > 1));
        let of = |count| Self { volume, count, gap };
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
        self.volume[2] + self.gap
    }

    pub fn blocks(&self) -> usize {
        self.volume[1].div_ceil(self.count)
    }

    /// Groups of positions in this number of rows.
    pub fn groups(&self, rows: usize) -> usize {
        (rows * self.pitch() - self.gap).div_ceil(LANES)
    }

    /// From sums of planes to the next ones: two rows more than the output, and the reach of a panel beyond them.
    pub fn stride(&self) -> usize {
        ((self.count + 2) * self.pitch() + self.gap + PANEL).next_multiple_of(LANES)
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
                // Without zeros, nothing is before the first voxel of a row.
                let voxels = taps(voxels).map(|voxel| voxel + self.gap - 1);
                offsets.extend(voxels.map(|voxel| self.offset(sum, row, voxel)));
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
                // Rows inside the volume, of those from one before the block to one after it.
                let before = usize::from(rows.start == 0);
                let inside = rows.start + before - 1..height.min(rows.end + 1);
                let end = (rows.len() + 2) * self.pitch();
                sum[..before * self.pitch()].fill(0.);
                sum[(before + inside.len()) * self.pitch()..end + self.gap].fill(0.);
                // Without zeros between them, rows are one.
                let lines = if self.gap == 0 { inside.len() } else { 1 };
                let to = sum[before * self.pitch()..].chunks_mut(lines * self.pitch());
                for (row, to) in inside.step_by(lines.max(1)).zip(to) {
                    to[..self.gap].fill(0.);
                    let to = &mut to[self.gap..][..lines * width];
                    let row = row * width..(row + lines) * width;
                    let rows = planes.map(|(plane, factor)| {
                        (plane.get(row.clone()).unwrap_or_default(), factor)
                    });
                    match count {
                        0 => to.fill(0.),
                        1 if rows[0].1 == 1. => to.copy_from_slice(rows[0].0),
                        1 => mix_rows([rows[0]], to),
                        2 => mix_rows([rows[0], rows[1]], to),
                        3 => mix_rows([rows[0], rows[1], rows[2]], to),
                        _ => mix_rows(rows, to),
                    }
                }
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
