//! Affines and grids: where voxels lie in world space.

use serde::{Deserialize, Serialize};

/// A map from voxel index to RAS+ millimeters, as a 4×4 matrix with last row `[0, 0, 0, 1]`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Affine(pub [[f64; 4]; 4]);

impl Affine {
    /// The identity: 1 mm voxels, first voxel center at the origin, axes R, A, S.
    pub const IDENTITY: Self =
        Self([[1., 0., 0., 0.], [0., 1., 0., 0.], [0., 0., 1., 0.], [0., 0., 0., 1.]]);

    /// An axis-aligned RAS affine with this spacing in mm and origin at zero.
    pub fn from_spacing(spacing: [f64; 3]) -> Self {
        let mut rows = Self::IDENTITY.0;
        for (axis, mm) in spacing.into_iter().enumerate() {
            rows[axis][axis] = mm;
        }
        Self(rows)
    }

    /// Length in mm of one step along each voxel axis.
    pub fn spacing(&self) -> [f64; 3] {
        std::array::from_fn(|column| (0..3).map(|row| self.0[row][column].powi(2)).sum::<f64>().sqrt())
    }
}

/// Shape and affine of a grid.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Geometry {
    /// Voxels along each axis, `[X, Y, Z]`.
    pub shape: [usize; 3],
    /// Voxel index → RAS mm.
    pub affine: Affine,
}
