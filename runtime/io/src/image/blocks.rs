//! Blocks of voxels in the order of the file, X fastest, and their conversion to and from arrays, Z fastest.
//!
//! Files are read and written block by block, so that the raw bytes never exist in full besides the array. Both
//! directions work on tiles that they hold in a small buffer: a cache line of either side is touched once, even where
//! the sides of the grid are powers of two and cache lines would collide.

use std::ops::Range;

use ndarray::{ArrayView3, ArrayViewMut3, Axis, s};
use rayon::prelude::*;

/// Decodes a row of stored voxels; returns whether all of its values are allowed.
pub(crate) type DecodeRow<O> = Box<dyn Fn(&[u8], &mut [O]) -> bool + Send + Sync>;

/// Bytes that a block has at most, a single row excepted.
pub(crate) const BLOCK_BYTES: usize = 8 << 20;

/// Edge of the tiles of the X-Z plane that are transposed at once.
const TILE: usize = 32;

/// Rows or columns that a thread transposes at once.
const SHARE: usize = 128;

/// The voxels of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct VoxelLayout {
    /// Voxels along X, Y and Z.
    pub shape: [usize; 3],
    /// Number of grids that follow each other.
    pub frames: usize,
    /// Bytes of a stored voxel.
    pub voxel_bytes: usize,
}

/// A run of stored voxels: whole planes of one frame, or rows of one plane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VoxelBlock {
    pub frame: usize,
    pub z: Range<usize>,
    /// Its rows of each plane: all of them if there are several planes.
    pub y: Range<usize>,
}

impl VoxelLayout {
    /// Bytes of all voxels of `block`.
    pub fn bytes_of(&self, block: &VoxelBlock) -> usize {
        block.z.len() * block.y.len() * self.shape[0] * self.voxel_bytes
    }

    /// Bytes of the largest block.
    pub fn largest_block(&self) -> usize {
        let [x_len, y_len, z_len] = self.shape;
        let (planes, rows) = self.step();
        planes.min(z_len) * rows.min(y_len) * x_len * self.voxel_bytes
    }

    /// Planes and rows of a block: all rows if there are several planes.
    fn step(&self) -> (usize, usize) {
        let [x_len, y_len, _] = self.shape;
        let row = x_len.saturating_mul(self.voxel_bytes);
        let planes = BLOCK_BYTES / row.saturating_mul(y_len).max(1);
        if planes == 0 {
            (1, (BLOCK_BYTES / row.max(1)).max(1))
        } else {
            // Whole tiles where the block permits.
            let tiles = planes / TILE * TILE;
            (if tiles > 0 { tiles } else { planes }, y_len)
        }
    }

    /// All blocks in the order of the file.
    pub fn blocks(&self) -> impl Iterator<Item = VoxelBlock> + use<> {
        let [_, y_len, z_len] = self.shape;
        let (planes, rows) = self.step();
        (0..self.frames).flat_map(move |frame| {
            (0..z_len).step_by(planes).flat_map(move |z| {
                (0..y_len).step_by(rows).map(move |y| VoxelBlock {
                    frame,
                    z: z..(z + planes).min(z_len),
                    y: y..(y + rows).min(y_len),
                })
            })
        })
    }
}

/// Decodes the bytes of a block into its frame `[X, Y, Z]`; returns whether all of its voxels are allowed.
pub(crate) fn decode<O: Copy + Default + Send>(
    raw: &[u8],
    layout: &VoxelLayout,
    block: &VoxelBlock,
    frame: &mut [O],
    decode_row: &DecodeRow<O>,
) -> bool {
    let [x_len, y_len, z_len] = layout.shape;
    let row_bytes = x_len * layout.voxel_bytes;
    let column = y_len * z_len;
    // Threads share the columns; fewer each where there are few.
    let share = SHARE.min(x_len.div_ceil(rayon::current_num_threads()));
    let turn = |(index, columns): (usize, &mut [O])| {
        let x_start = index * share;
        let x_count = columns.len() / column;
        let mut allowed = true;
        let mut rows = [[O::default(); SHARE]; TILE];
        for (y_index, y) in block.y.clone().enumerate() {
            for z_start in block.z.clone().step_by(TILE) {
                let z_count = TILE.min(block.z.end - z_start);
                // All reads come first, so that cache misses of many rows overlap.
                for (z, row) in rows[..z_count].iter_mut().enumerate() {
                    let row_index = (z_start + z - block.z.start) * block.y.len() + y_index;
                    let from = row_index * row_bytes + x_start * layout.voxel_bytes;
                    let stored = &raw[from..from + x_count * layout.voxel_bytes];
                    allowed &= decode_row(stored, &mut row[..x_count]);
                }
                for (x, column) in columns.chunks_exact_mut(column).enumerate() {
                    let to = y * z_len + z_start;
                    let run = &mut column[to..to + z_count];
                    for (value, row) in run.iter_mut().zip(&rows) {
                        // The remainder has no effect but avoids a bounds check.
                        *value = row[x % SHARE];
                    }
                }
            }
        }
        allowed
    };
    frame
        .par_chunks_mut(share * column)
        .enumerate()
        .map(turn)
        .reduce(|| true, |a, b| a & b)
}

/// Encodes the voxels of a frame `[X, Y, Z]` in the order of the file.
pub(crate) fn encode<T: Copy + Send + Sync, const N: usize>(
    frame: ArrayView3<'_, T>,
    raw: &mut [u8],
    bytes_of: impl Fn(T) -> [u8; N] + Sync,
) {
    let (x_len, y_len, z_len) = frame.dim();
    let Some(&fill) = frame.first() else { return };
    let Ok(mut raw) = ArrayViewMut3::from_shape((z_len, y_len, x_len * N), raw) else {
        debug_assert!(false, "the buffer has not the size of the frame");
        return;
    };
    // Threads share the rows.
    let share = SHARE.min(y_len.div_ceil(rayon::current_num_threads()));
    let rows: Vec<_> = raw
        .axis_chunks_iter_mut(Axis(1), share)
        .enumerate()
        .collect();
    rows.into_par_iter().for_each(|(index, mut raw)| {
        let mut runs = [[fill; TILE]; 2 * TILE];
        for (y_index, mut plane) in raw.axis_iter_mut(Axis(1)).enumerate() {
            let source = frame.index_axis(Axis(1), index * share + y_index);
            for x_start in (0..x_len).step_by(2 * TILE) {
                let x_end = (x_start + 2 * TILE).min(x_len);
                for z_start in (0..z_len).step_by(TILE) {
                    let z_end = (z_start + TILE).min(z_len);
                    let part = source.slice(s![x_start..x_end, z_start..z_end]);
                    // All reads come first, as above.
                    for (line, run) in part.outer_iter().zip(&mut runs) {
                        match line.as_slice() {
                            Some(line) => copy_run(line, &mut run[..line.len()]),
                            None => run.iter_mut().zip(line).for_each(|(to, &from)| *to = from),
                        }
                    }
                    let runs = &runs[..x_end - x_start];
                    let mut turned = plane.slice_mut(s![z_start..z_end, x_start * N..x_end * N]);
                    for (z, mut to) in turned.outer_iter_mut().enumerate() {
                        let bytes = to.as_slice_mut().map(|to| to.as_chunks_mut::<N>().0);
                        for (to, run) in bytes.into_iter().flatten().zip(runs) {
                            *to = bytes_of(run[z % TILE]);
                        }
                    }
                }
            }
        }
    });
}

/// Copies a few values: a call would take longer than the copy.
#[inline(always)]
fn copy_run<T: Copy>(from: &[T], to: &mut [T]) {
    const STEP: usize = 8;
    let (from, from_rest) = from.as_chunks::<STEP>();
    let (to, to_rest) = to.as_chunks_mut::<STEP>();
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
    for (to, from) in to_rest.iter_mut().zip(from_rest) {
        *to = *from;
    }
}
