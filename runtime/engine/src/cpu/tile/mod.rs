//! The innermost loop: a tile of sums in registers.

mod operands;
#[cfg(target_arch = "x86_64")]
mod x86;

use super::processor::Instructions;
pub(super) use operands::{GROUPS, LANES, MAX_ROWS, MatrixTile, PANEL};

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
    /// `rows` is 1 to [`Self::rows`] and `groups` 1 to [`GROUPS`]; weights, inputs at all `offsets` and targets of all
    /// rows are allocated, with `groups * LANES` positions each; nothing else uses the targets.
    pub(super) unsafe fn tile(self, rows: usize, groups: usize, tile: &MatrixTile<'_>) {
        match self {
            // SAFETY: the processor has these instructions; the caller guarantees the rest.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => unsafe { x86::tile_avx512(rows, groups, tile) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { x86::tile_avx2(rows, groups, tile) },
        }
    }
}
