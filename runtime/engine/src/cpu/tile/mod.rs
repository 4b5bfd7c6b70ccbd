//! The innermost loop: a tile of sums in registers.

#[cfg(target_arch = "x86_64")]
mod x86;

use super::Instructions;

/// Positions in a group: one register of AVX-512, two of AVX2.
pub(super) const LANES: usize = 16;
/// Groups in a panel.
pub(super) const GROUPS: usize = 3;
/// Positions in a panel.
pub(super) const PANEL: usize = GROUPS * LANES;
/// Most filters in a tile.
pub(super) const MAX_ROWS: usize = 8;

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
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => MAX_ROWS,
            #[cfg(target_arch = "x86_64")]
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
        match self {
            // SAFETY: the processor has these instructions; the rest is what the caller promises.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => unsafe { x86::tile_avx512(rows, groups, tile) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { x86::tile_avx2(rows, groups, tile) },
        }
    }
}
