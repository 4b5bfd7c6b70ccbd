//! The two kinds of gridded data: a multi-channel [`Volume`] and an integer [`LabelMap`].

use ndarray::{Array3, Array4};

use crate::geometry::{Affine, Geometry};

/// Scalar intensities on a grid in world space.
///
/// **Shapes and units**: `data` is `[C, X, Y, Z]`; `affine` maps a voxel index `(x, y, z)` to RAS millimeters.
#[derive(Debug, Clone, PartialEq)]
pub struct Volume {
    /// Intensities, `[C, X, Y, Z]`.
    pub data: Array4<f32>,
    /// Voxel index → RAS mm.
    pub affine: Affine,
}

impl Volume {
    /// Shape and affine of the grid that all channels share.
    pub fn geometry(&self) -> Geometry {
        let (_, x, y, z) = self.data.dim();
        Geometry {
            shape: [x, y, z],
            affine: self.affine,
        }
    }

    pub fn channels(&self) -> usize {
        self.data.dim().0
    }
}

/// Integer labels on a grid in world space; 0 is background.
///
/// **Shapes and units**: `data` is `[X, Y, Z]`; `affine` maps a voxel index to RAS millimeters.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelMap {
    /// Label values, `[X, Y, Z]`.
    pub data: Array3<u16>,
    /// Voxel index → RAS mm.
    pub affine: Affine,
}

impl LabelMap {
    /// Shape and affine of the grid.
    pub fn geometry(&self) -> Geometry {
        let (x, y, z) = self.data.dim();
        Geometry {
            shape: [x, y, z],
            affine: self.affine,
        }
    }
}
