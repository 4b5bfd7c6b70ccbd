//! Input coordinates of output voxels.

use super::error::{MAX_VOXELS, ResampleError};
use crate::geometry::Geometry;
use crate::geometry::matrix::{self, Matrix};

/// Maps output voxels to fractional input voxels, clamped to the input.
///
/// **Definition**: both grids are normalized to `[-1, 1]` from face to face, the relative affine is taken between
/// normalized positions, and the result is scaled back. The reference computes it this way, in this order of sums; the
/// last bit decides to which neighbor a position half-way between two voxels rounds.
///
/// **Source**: MONAI 1.6.1 `to_norm_affine`; `torch` 2 `affine_grid` and `grid_sample`.
pub(super) struct Coordinates {
    /// Shape of the input.
    pub(super) from: [usize; 3],
    /// Shape of the output.
    pub(super) to: [usize; 3],
    /// Rows: normalized input axes. Columns: normalized output axes and the translation.
    theta: [[f64; 4]; 3],
    /// Normalized positions of the output's voxels along each axis.
    positions: [Vec<f64>; 3],
}

impl Coordinates {
    pub(super) fn new(from: &Geometry, to: &Geometry) -> Result<Self, ResampleError> {
        to.affine.check()?;
        let relative = from.affine.map_from(&to.affine)?;
        for shape in [from.shape, to.shape] {
            if shape.contains(&0) {
                return Err(ResampleError::Empty { shape });
            }
        }
        if to.voxels().is_none_or(|voxels| voxels > MAX_VOXELS) {
            return Err(ResampleError::TooLarge { shape: to.shape });
        }
        let from_normalized = matrix::solve(&normalizing(to.shape), &matrix::identity())
            .ok_or(ResampleError::TooLarge { shape: to.shape })?;
        let theta = product(
            &product(&normalizing(from.shape), &relative.0),
            &from_normalized,
        );
        Ok(Self {
            from: from.shape,
            to: to.shape,
            theta: [theta[0], theta[1], theta[2]],
            positions: to.shape.map(normalized_positions),
        })
    }

    /// Largest displacement in input voxels, anywhere in the output, by output axes other than the input axis' own.
    pub(super) fn coupling(&self) -> f64 {
        let rows = self.theta.iter().enumerate().map(|(row, entries)| {
            let others = (0..3).filter(|&column| column != row);
            others.map(|column| entries[column].abs()).sum::<f64>() * self.from[row] as f64 / 2.0
        });
        rows.fold(0.0, f64::max)
    }

    /// The input coordinate along `axis` of every output index along the same axis, other axes being uncoupled.
    pub(super) fn along(&self, axis: usize) -> impl Iterator<Item = f64> + '_ {
        let [scale, offset] = [self.theta[axis][axis], self.theta[axis][3]];
        self.positions[axis]
            .iter()
            .map(move |position| self.unnormalize(axis, scale * position + offset))
    }

    /// Input coordinates of the output row `(x, y)`: for each input axis, one value per output voxel.
    pub(super) fn row(&self, x: usize, y: usize, coordinates: &mut [Vec<f64>; 3]) {
        let (x, y) = (self.positions[0][x], self.positions[1][y]);
        for (axis, coordinates) in coordinates.iter_mut().enumerate() {
            let [across_x, across_y, across_z, offset] = self.theta[axis];
            let (by_x, by_y) = (across_x * x, across_y * y);
            let positions = self.positions[2].iter();
            coordinates.clear();
            coordinates.extend(
                positions.map(|z| self.unnormalize(axis, across_z * z + by_y + by_x + offset)),
            );
        }
    }

    /// Normalized position → voxel coordinate, clamped to the border voxels' centers.
    fn unnormalize(&self, axis: usize, position: f64) -> f64 {
        let n = self.from[axis] as f64;
        (((position + 1.0) * n - 1.0) / 2.0).clamp(0.0, n - 1.0)
    }
}

/// The map from voxel index to `[-1, 1]`, faces at the ends.
fn normalizing(shape: [usize; 3]) -> Matrix<4> {
    let mut rows = matrix::identity();
    for (axis, n) in shape.into_iter().enumerate() {
        rows[axis][axis] = 2.0 / n as f64;
        rows[axis][3] = 1.0 / n as f64 - 1.0;
    }
    rows
}

/// Normalized positions of `n` voxel centers: equal steps, counted from the nearer end in fused arithmetic.
fn normalized_positions(n: usize) -> Vec<f64> {
    if n <= 1 {
        return vec![0.0; n];
    }
    let last = (n - 1) as f64;
    let step = 2.0 / last;
    let position = |index: usize| match index < n / 2 {
        true => f64::mul_add(step, index as f64, -1.0),
        false => f64::mul_add(-step, (n - 1 - index) as f64, 1.0),
    };
    (0..n)
        .map(|index| position(index) * last / n as f64)
        .collect()
}

/// The product `a b`, each term rounded before it is added: `torch`, unlike NumPy, does not fuse the operations of
/// small products.
fn product(a: &Matrix<4>, b: &Matrix<4>) -> Matrix<4> {
    std::array::from_fn(|row| {
        std::array::from_fn(|column| (0..4).map(|k| a[row][k] * b[k][column]).sum())
    })
}
