//! Cells of the search space: between which nodes they lead, and what they compute.

/// Blocks of cells, one after another.
pub(crate) const BLOCKS: usize = 12;
/// Nodes between blocks: volumes with a half, a quarter, an eighth and a sixteenth of the voxels along each axis.
pub(crate) const NODES: usize = 4;
/// Paths of a block.
pub(crate) const PATHS: usize = 10;

/// How a cell changes the number of voxels along each axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CellRate {
    /// Twice as many, half of the channels.
    Up,
    Same,
    /// Half as many, twice the channels.
    Down,
}

/// A way from a node to one of the next block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CellPath {
    /// Column of the path in an architecture's matrices.
    pub index: usize,
    /// Node that it comes from; node `d` has `1 / 2^(d + 1)` of the voxels along each axis.
    pub from: usize,
    /// Node that it goes to.
    pub to: usize,
}

impl CellPath {
    /// The paths of a block, in the order of the matrices.
    ///
    /// **Source**: MONAI 1.6.1 `TopologyConstruction`: `arch_code2in`, `arch_code2out`.
    pub fn all() -> [Self; PATHS] {
        const ENDS: [[usize; 2]; PATHS] = [
            [0, 0],
            [1, 0],
            [0, 1],
            [1, 1],
            [2, 1],
            [1, 2],
            [2, 2],
            [3, 2],
            [2, 3],
            [3, 3],
        ];
        std::array::from_fn(|index| {
            let [from, to] = ENDS[index];
            Self { index, from, to }
        })
    }

    pub fn rate(self) -> CellRate {
        match self.from.cmp(&self.to) {
            std::cmp::Ordering::Greater => CellRate::Up,
            std::cmp::Ordering::Equal => CellRate::Same,
            std::cmp::Ordering::Less => CellRate::Down,
        }
    }
}

/// What a cell computes after it has changed the number of voxels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CellOperation {
    /// Nothing.
    Skip,
    /// A convolution of 3 voxels along each axis.
    Conv,
    /// One of 3, 3 and 1 voxels, then one of 1, 1 and 3.
    ConvXyThenZ,
    /// One of 3, 1 and 3 voxels, then one of 1, 3 and 1.
    ConvXzThenY,
    /// One of 1, 3 and 3 voxels, then one of 3, 1 and 1.
    ConvYzThenX,
}

impl CellOperation {
    /// The operations in the order of their codes.
    ///
    /// **Source**: MONAI 1.6.1 `Cell.OPS3D`.
    pub const ALL: [Self; 5] = [
        Self::Skip,
        Self::Conv,
        Self::ConvXyThenZ,
        Self::ConvXzThenY,
        Self::ConvYzThenX,
    ];

    /// Its number in an architecture's matrix.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// Kernels of its convolutions, the first one first.
    pub fn kernels(self) -> &'static [[usize; 3]] {
        match self {
            Self::Skip => &[],
            Self::Conv => &[[3, 3, 3]],
            Self::ConvXyThenZ => &[[3, 3, 1], [1, 1, 3]],
            Self::ConvXzThenY => &[[3, 1, 3], [1, 3, 1]],
            Self::ConvYzThenX => &[[1, 3, 3], [3, 1, 1]],
        }
    }
}

/// A cell of an architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DintsCell {
    pub block: usize,
    pub path: CellPath,
    pub operation: CellOperation,
}

impl DintsCell {
    /// Its name among the cells in MONAI's state dict.
    pub fn key(self) -> String {
        key(self.block, self.path.index)
    }
}

/// Name of a cell in MONAI's state dict: that of a pair in Python.
pub(crate) fn key(block: usize, path: usize) -> String {
    format!("({block}, {path})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_places_in_the_list() {
        for (code, operation) in CellOperation::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(operation.code()), code);
        }
    }

    #[test]
    fn paths_lead_to_the_same_node_or_a_neighbor() {
        for path in CellPath::all() {
            assert!(path.from.abs_diff(path.to) <= 1 && path.from.max(path.to) < NODES);
        }
        let rates = CellPath::all().map(CellPath::rate);
        let count = |rate| rates.into_iter().filter(|&found| found == rate).count();
        let counts = [CellRate::Up, CellRate::Same, CellRate::Down].map(count);
        assert_eq!(counts, [3, 4, 3]);
    }
}
