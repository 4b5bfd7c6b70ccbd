//! Sizes and operands of tiles.

/// Positions in a group: one register of AVX-512, two of AVX2.
pub(crate) const LANES: usize = 16;
/// Groups in a panel.
pub(crate) const GROUPS: usize = 3;
/// Positions in a panel.
pub(crate) const PANEL: usize = GROUPS * LANES;
/// Most filters in a tile.
pub(crate) const MAX_ROWS: usize = 8;

/// A tile of the output: some filters at the positions of a panel.
///
/// **Definition**: `c[r, p] += factor · Σ_k a[r, k] b[offsets[k] + p]` for every target `c`.
#[derive(Clone, Copy)]
pub(crate) struct MatrixTile<'a> {
    /// First weight of the tile.
    pub a: *const f32,
    /// From row to row of the weights.
    pub a_stride: usize,
    /// Input of the first position.
    pub b: *const f32,
    /// Offsets of the inputs of every weight.
    pub offsets: &'a [u32],
    /// Targets of the sums, with factors.
    pub targets: &'a [(*mut f32, f32)],
    /// From row to row of the targets.
    pub c_stride: usize,
    /// Weights that are needed next, to be prefetched.
    pub next: *const f32,
}
