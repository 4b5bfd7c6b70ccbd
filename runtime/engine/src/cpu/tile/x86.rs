//! Tiles in the registers of x86-64.

use std::arch::x86_64::*;

use super::operands::{LANES, MatrixTile};

/// Weights that share a line of the cache.
const LINE: usize = 16;

/// Calls a function for a tile of this many rows and groups.
macro_rules! of_size {
    ($function:ident, $tile:ident, $rows:ident, $groups:ident, $row_counts:tt) => {
        match $groups {
            1 => of_size!($function, $tile, $rows, 1 $row_counts),
            2 => of_size!($function, $tile, $rows, 2 $row_counts),
            _ => of_size!($function, $tile, $rows, 3 $row_counts),
        }
    };
    ($function:ident, $tile:ident, $rows:ident, $groups:literal [$($count:literal)*]) => {
        match $rows {
            // SAFETY: guaranteed by the caller.
            $($count => unsafe { $function::<$count, $groups>($tile) },)*
            rows => unreachable!("a tile of {rows} rows"),
        }
    };
}

/// Computes a tile with AVX-512F.
pub(super) unsafe fn tile_avx512(rows: usize, groups: usize, tile: &MatrixTile<'_>) {
    of_size!(avx512, tile, rows, groups, [1 2 3 4 5 6 7 8])
}

/// Computes a tile with AVX2 and FMA.
pub(super) unsafe fn tile_avx2(rows: usize, groups: usize, tile: &MatrixTile<'_>) {
    of_size!(avx2, tile, rows, groups, [1 2 3 4 5 6])
}

#[target_feature(enable = "avx512f")]
unsafe fn avx512<const ROWS: usize, const GROUPS: usize>(tile: &MatrixTile<'_>) {
    let MatrixTile {
        a,
        a_stride,
        b,
        offsets,
        targets,
        c_stride,
        next,
    } = *tile;
    let mut sums = [[_mm512_setzero_ps(); GROUPS]; ROWS];
    // SAFETY: the caller guarantees `ROWS` rows of weights and of `GROUPS` groups of targets, and inputs at all
    // offsets.
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
unsafe fn avx2<const ROWS: usize, const GROUPS: usize>(tile: &MatrixTile<'_>) {
    const HALF: usize = LANES / 2;
    let MatrixTile {
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
        // SAFETY: the caller guarantees `ROWS` rows of weights and of `GROUPS` groups of targets, and inputs at all
        // offsets.
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
