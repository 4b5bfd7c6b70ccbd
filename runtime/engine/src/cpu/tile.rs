//! The innermost loop: a tile of sums in registers.

use std::arch::x86_64::*;

use super::Instructions;

/// Positions in a group: one register of AVX-512, two of AVX2.
pub(super) const LANES: usize = 16;
/// Groups in a panel.
pub(super) const GROUPS: usize = 3;
/// Positions in a panel.
pub(super) const PANEL: usize = GROUPS * LANES;
/// Most filters in a tile.
pub(super) const MAX_ROWS: usize = 8;
/// Weights that share a line of the cache.
const LINE: usize = 16;

/// A tile of the output: some filters at the positions of a panel.
///
/// **Definition**: `c[r, p] += factor · Σ_k a[r, k] b[offsets[k] + p]` for every target `c`.
#[derive(Clone, Copy)]
pub(super) struct Tile<'a> {
    /// First weight.
    pub a: *const f32,
    /// From row to row of the weights.
    pub a_stride: usize,
    /// Input of the first position.
    pub b: *const f32,
    /// Where the inputs of every weight are.
    pub offsets: &'a [u32],
    /// Where to add the sums, and times what.
    pub targets: &'a [(*mut f32, f32)],
    /// From row to row of the targets.
    pub c_stride: usize,
    /// Weights that are needed next: they are fetched meanwhile.
    pub next: *const f32,
}

impl Instructions {
    /// Filters in a tile: as many as leave registers for inputs and weights.
    pub(super) fn rows(self) -> usize {
        match self {
            Self::Avx512 => MAX_ROWS,
            Self::Avx2 => 6,
        }
    }

    /// Computes a tile.
    ///
    /// # Safety
    ///
    /// `rows` is 1 to [`Self::rows`] and `groups` 1 to [`GROUPS`]; weights and inputs of all of `offsets` and targets of all
    /// rows are there, `groups * LANES` positions of each; nobody else uses the targets.
    pub(super) unsafe fn tile(self, rows: usize, groups: usize, tile: &Tile<'_>) {
        macro_rules! rows {
            ($function:ident, $groups:literal, [$($rows:literal)*]) => {
                match rows {
                    // SAFETY: the processor has these instructions; the rest is what the caller promises.
                    $($rows => unsafe { $function::<$rows, $groups>(tile) },)*
                    _ => unreachable!("a tile of {rows} rows"),
                }
            };
        }
        match (self, groups) {
            (Self::Avx512, 1) => rows!(avx512, 1, [1 2 3 4 5 6 7 8]),
            (Self::Avx512, 2) => rows!(avx512, 2, [1 2 3 4 5 6 7 8]),
            (Self::Avx512, _) => rows!(avx512, 3, [1 2 3 4 5 6 7 8]),
            (Self::Avx2, 1) => rows!(avx2, 1, [1 2 3 4 5 6]),
            (Self::Avx2, 2) => rows!(avx2, 2, [1 2 3 4 5 6]),
            (Self::Avx2, _) => rows!(avx2, 3, [1 2 3 4 5 6]),
        }
    }
}

#[target_feature(enable = "avx512f")]
unsafe fn avx512<const ROWS: usize, const GROUPS: usize>(tile: &Tile<'_>) {
    let Tile {
        a,
        a_stride,
        b,
        offsets,
        targets,
        c_stride,
        next,
    } = *tile;
    let mut sums = [[_mm512_setzero_ps(); GROUPS]; ROWS];
    // SAFETY: the caller promises `ROWS` rows of weights and of `GROUPS` groups of targets, and inputs at all offsets.
    unsafe {
        let mut k = 0;
        for line in offsets.chunks(LINE) {
            for row in 0..ROWS {
                _mm_prefetch::<_MM_HINT_T0>(next.wrapping_add(row * a_stride + k).cast());
            }
            for &offset in line {
                let b = b.add(offset as usize);
                let mut inputs = [_mm512_setzero_ps(); GROUPS];
                for (group, input) in inputs.iter_mut().enumerate() {
                    *input = _mm512_loadu_ps(b.add(group * LANES));
                }
                for (row, sums) in sums.iter_mut().enumerate() {
                    let weight = _mm512_set1_ps(*a.add(row * a_stride + k));
                    for (sum, input) in sums.iter_mut().zip(inputs) {
                        *sum = _mm512_fmadd_ps(weight, input, *sum);
                    }
                }
                k += 1;
            }
        }
        for &(c, factor) in targets {
            let factor = _mm512_set1_ps(factor);
            for (row, sums) in sums.iter().enumerate() {
                for (group, &sum) in sums.iter().enumerate() {
                    let c = c.add(row * c_stride + group * LANES);
                    _mm512_storeu_ps(c, _mm512_fmadd_ps(factor, sum, _mm512_loadu_ps(c)));
                }
            }
        }
    }
}

#[target_feature(enable = "avx2,fma")]
unsafe fn avx2<const ROWS: usize, const GROUPS: usize>(tile: &Tile<'_>) {
    const HALF: usize = LANES / 2;
    let Tile {
        a,
        a_stride,
        b,
        offsets,
        targets,
        c_stride,
        next,
    } = *tile;
    for group in 0..GROUPS {
        let mut sums = [[_mm256_setzero_ps(); 2]; ROWS];
        // SAFETY: the caller promises `ROWS` rows of weights and of `GROUPS` groups of targets, and inputs at all offsets.
        unsafe {
            let mut k = 0;
            for line in offsets.chunks(LINE) {
                for row in 0..ROWS {
                    _mm_prefetch::<_MM_HINT_T0>(next.wrapping_add(row * a_stride + k).cast());
                }
                for &offset in line {
                    let b = b.add(offset as usize + group * LANES);
                    let inputs = [_mm256_loadu_ps(b), _mm256_loadu_ps(b.add(HALF))];
                    for (row, sums) in sums.iter_mut().enumerate() {
                        let weight = _mm256_set1_ps(*a.add(row * a_stride + k));
                        for (sum, input) in sums.iter_mut().zip(inputs) {
                            *sum = _mm256_fmadd_ps(weight, input, *sum);
                        }
                    }
                    k += 1;
                }
            }
            for &(c, factor) in targets {
                let factor = _mm256_set1_ps(factor);
                for (row, sums) in sums.iter().enumerate() {
                    for (half, &sum) in sums.iter().enumerate() {
                        let c = c.add(row * c_stride + group * LANES + half * HALF);
                        _mm256_storeu_ps(c, _mm256_fmadd_ps(factor, sum, _mm256_loadu_ps(c)));
                    }
                }
            }
        }
    }
}
