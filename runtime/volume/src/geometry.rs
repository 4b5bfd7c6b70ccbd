//! Affines and grids: where voxels lie in world space.

use serde::{Deserialize, Serialize};

pub(crate) mod matrix;

/// Smallest volume of the parallelepiped that three unit vectors along the voxel axes span.
const MIN_UNIT_VOLUME: f64 = 1e-6;

/// Why an affine or a grid cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum GeometryError {
    #[error("affine has {value} in row {row}, column {column}, expected finite numbers")]
    NotFinite {
        /// Row, from 0.
        row: usize,
        /// Column, from 0.
        column: usize,
        /// The entry at that place.
        value: f64,
    },
    /// The last row is not `[0, 0, 0, 1]`.
    #[error("affine has the last row {found:?}, expected [0, 0, 0, 1]")]
    LastRow { found: [f64; 4] },
    /// The voxel axes do not span space.
    #[error(
        "affine cannot be inverted: spacing is {spacing_mm:?} mm and unit steps along the axes span {unit_volume:e}, \
         expected positive spacing and more than {MIN_UNIT_VOLUME:e}"
    )]
    Singular {
        /// Length of one step along each voxel axis in mm.
        spacing_mm: [f64; 3],
        /// Volume spanned by unit vectors along the axes: 1 where they are perpendicular.
        unit_volume: f64,
    },
}

/// Largest distance of corresponding corners of two grids that count as one, in voxels of the finest axis.
///
/// Files state one grid differently: at the corners of a grid of 512³ voxels, affines in `f32` differ by up to 0.0001
/// voxels, text with six decimals by 0.002, a rotation about half a turn kept as a NIfTI quaternion mostly by 0.003,
/// rarely by more than this. Where grids differ by this much, voxels still correspond: the error of not resampling is a
/// tenth of the difference between neighbors. A convention that counts voxels from corners rather than centers is half
/// a voxel off, five times this.
///
/// ITK's filters allow 1e-6 voxels (`CoordinateTolerance`) and refuse files that only differ in rounding; nnU-Net warns
/// where affines differ by more than a hundred-thousandth; MONAI does not look.
pub const SAME_GRID_VOXELS: f64 = 0.1;

/// How two grids differ.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum GridDifference {
    /// Different numbers of voxels.
    #[error("its shape is {found:?}, expected {expected:?}")]
    Shape {
        found: [usize; 3],
        expected: [usize; 3],
    },
    /// Voxels at different places; this covers different voxel sizes.
    #[error("it lies up to {found_mm:.3} mm away, expected at most {limit_mm:.3} mm")]
    Place { found_mm: f64, limit_mm: f64 },
}

/// A map from voxel index to RAS+ millimeters, as a 4×4 matrix with last row `[0, 0, 0, 1]`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Affine(pub [[f64; 4]; 4]);

impl Affine {
    /// The identity: 1 mm voxels, first voxel center at the origin, axes R, A, S.
    pub const IDENTITY: Self = Self([
        [1., 0., 0., 0.],
        [0., 1., 0., 0.],
        [0., 0., 1., 0.],
        [0., 0., 0., 1.],
    ]);

    /// An axis-aligned RAS affine with this spacing in mm and origin at zero.
    pub fn from_spacing(spacing: [f64; 3]) -> Self {
        let mut rows = Self::IDENTITY.0;
        for (axis, mm) in spacing.into_iter().enumerate() {
            rows[axis][axis] = mm;
        }
        Self(rows)
    }

    /// An affine from its linear part (columns are steps along the voxel axes in mm) and the world position of the
    /// first voxel's center in mm.
    pub fn from_parts(linear: [[f64; 3]; 3], origin_mm: [f64; 3]) -> Self {
        let mut rows = Self::IDENTITY.0;
        for row in 0..3 {
            rows[row][..3].copy_from_slice(&linear[row]);
            rows[row][3] = origin_mm[row];
        }
        Self(rows)
    }

    /// Length in mm of one step along each voxel axis.
    pub fn spacing(&self) -> [f64; 3] {
        std::array::from_fn(|column| {
            (0..3)
                .map(|row| self.0[row][column].powi(2))
                .sum::<f64>()
                .sqrt()
        })
    }

    /// Rotation, zoom and shear: the matrix without its translation.
    pub fn linear(&self) -> [[f64; 3]; 3] {
        std::array::from_fn(|row| std::array::from_fn(|column| self.0[row][column]))
    }

    /// World position of the first voxel's center in mm.
    pub fn origin(&self) -> [f64; 3] {
        std::array::from_fn(|row| self.0[row][3])
    }

    /// World position in mm of a voxel index, which may be fractional.
    ///
    /// **Examples**
    ///
    /// ```
    /// # use vesal_volume::Affine;
    /// let affine = Affine::from_parts([[2., 0., 0.], [0., 1., 0.], [0., 0., 3.]], [10., 0., -5.]);
    /// assert_eq!(affine.voxel_to_world([1., 1., 0.5]), [12., 1., -3.5]);
    /// ```
    pub fn voxel_to_world(&self, voxel: [f64; 3]) -> [f64; 3] {
        let [x, y, z, _] = matrix::apply(&self.0, &[voxel[0], voxel[1], voxel[2], 1.0]);
        [x, y, z]
    }

    /// The same map, starting at another voxel: index 0 of the result is index `voxel` of this one.
    pub fn starting_at(&self, voxel: [f64; 3]) -> Self {
        Self::from_parts(self.linear(), self.voxel_to_world(voxel))
    }

    /// `self ∘ inner`: the map that applies `inner` first.
    pub fn compose(&self, inner: &Self) -> Self {
        Self(matrix::multiply(&self.0, &inner.0))
    }

    /// The inverse: RAS mm → voxel index.
    ///
    /// **Errors**: [`GeometryError`] where [`Affine::check`] fails.
    pub fn inverse(&self) -> Result<Self, GeometryError> {
        self.map_from(&Self::IDENTITY)
    }

    /// `self⁻¹ ∘ other`: maps a voxel index of the grid `other` to the voxel index of this grid at the same place.
    ///
    /// **Errors**: [`GeometryError`] where [`Affine::check`] fails for `self`.
    pub fn map_from(&self, other: &Self) -> Result<Self, GeometryError> {
        self.check()?;
        matrix::solve(&self.0, &other.0)
            .map(Self)
            .ok_or_else(|| self.singular())
    }

    /// Determinant of the linear part: the volume of a voxel in mm³, negative for left-handed axes.
    pub fn determinant(&self) -> f64 {
        matrix::determinant(&self.linear())
    }

    /// Checks that all entries are finite, the last row is `[0, 0, 0, 1]` and the voxel axes span space.
    ///
    /// **Errors**: the [`GeometryError`] that names the first fault.
    pub fn check(&self) -> Result<(), GeometryError> {
        for (row, entries) in self.0.iter().enumerate() {
            for (column, &value) in entries.iter().enumerate() {
                if !value.is_finite() {
                    return Err(GeometryError::NotFinite { row, column, value });
                }
            }
        }
        if self.0[3] != [0.0, 0.0, 0.0, 1.0] {
            return Err(GeometryError::LastRow { found: self.0[3] });
        }
        let unit_volume = self.unit_volume();
        if unit_volume.is_finite() && unit_volume > MIN_UNIT_VOLUME {
            Ok(())
        } else {
            Err(self.singular())
        }
    }

    /// Volume spanned by unit vectors along the voxel axes: 1 where they are perpendicular, NaN for zero spacing.
    fn unit_volume(&self) -> f64 {
        let (linear, spacing) = (self.linear(), self.spacing());
        let unit = std::array::from_fn(|row| {
            std::array::from_fn(|column| linear[row][column] / spacing[column])
        });
        matrix::determinant(&unit).abs()
    }

    /// The error of an affine without an inverse.
    pub(crate) fn singular(&self) -> GeometryError {
        GeometryError::Singular {
            spacing_mm: self.spacing(),
            unit_volume: self.unit_volume(),
        }
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

impl Geometry {
    /// Number of voxels; `None` where it exceeds `usize`.
    pub fn voxels(&self) -> Option<usize> {
        self.shape
            .iter()
            .try_fold(1_usize, |product, &n| product.checked_mul(n))
    }

    /// The grid of a part of this one: `shape` voxels from the voxel `start`.
    pub fn part(&self, start: [usize; 3], shape: [usize; 3]) -> Self {
        Self {
            shape,
            affine: self.affine.starting_at(start.map(|index| index as f64)),
        }
    }

    /// World positions in mm of the eight corner voxels' centers, the first axis varying slowest.
    pub fn corners(&self) -> [[f64; 3]; 8] {
        corner_voxels(self.shape).map(|voxel| self.affine.voxel_to_world(voxel))
    }

    /// Largest distance in mm between corresponding corner voxels; `None` where the shapes differ.
    ///
    /// Two images lie on one grid where this is small against the spacing: it bounds the distance of all voxels, which
    /// a comparison of matrix entries does not.
    ///
    /// **Examples**
    ///
    /// ```
    /// # use vesal_volume::{Affine, Geometry};
    /// let a = Geometry { shape: [11, 5, 5], affine: Affine::IDENTITY };
    /// let b = Geometry { shape: [11, 5, 5], affine: Affine::from_spacing([1.5, 1., 1.]) };
    /// assert_eq!(a.distance_mm(&b), Some(5.0));
    /// ```
    pub fn distance_mm(&self, other: &Self) -> Option<f64> {
        (self.shape == other.shape).then(|| {
            let pairs = self.corners().into_iter().zip(other.corners());
            pairs.fold(0.0, |largest, (a, b)| {
                let distance = (0..3)
                    .map(|axis| (a[axis] - b[axis]).powi(2))
                    .sum::<f64>()
                    .sqrt();
                // NaN does not count as a short distance.
                if distance > largest || distance.is_nan() {
                    distance
                } else {
                    largest
                }
            })
        })
    }

    /// Checks that this is the grid `expected` up to rounding: corresponding corners lie within [`SAME_GRID_VOXELS`] of
    /// each other, in voxels of the finest axis of `expected`.
    ///
    /// Images of a case, label maps and their images, predictions and truths share a grid by this rule alone.
    ///
    /// **Errors**: [`GridDifference`].
    ///
    /// **Examples**
    ///
    /// ```
    /// # use vesal_volume::{Affine, Geometry};
    /// let at = |x| Geometry {
    ///     shape: [11, 5, 5],
    ///     affine: Affine::from_parts([[2., 0., 0.], [0., 2., 0.], [0., 0., 3.]], [x, 0., 0.]),
    /// };
    /// assert!(at(0.19).check_same_grid(&at(0.0)).is_ok());
    /// assert!(at(0.21).check_same_grid(&at(0.0)).is_err());
    /// ```
    pub fn check_same_grid(&self, expected: &Self) -> Result<(), GridDifference> {
        let Some(found_mm) = self.distance_mm(expected) else {
            return Err(GridDifference::Shape {
                found: self.shape,
                expected: expected.shape,
            });
        };
        let spacing = expected.affine.spacing();
        let limit_mm = SAME_GRID_VOXELS * spacing.into_iter().fold(f64::INFINITY, f64::min);
        // A distance that is NaN does not pass.
        if found_mm <= limit_mm {
            Ok(())
        } else {
            Err(GridDifference::Place { found_mm, limit_mm })
        }
    }
}

/// Indices of the eight corner voxels, the first axis varying slowest.
pub(crate) fn corner_voxels(shape: [usize; 3]) -> [[f64; 3]; 8] {
    std::array::from_fn(|corner| {
        std::array::from_fn(|axis| {
            if corner >> (2 - axis) & 1 == 1 {
                shape[axis] as f64 - 1.0
            } else {
                0.0
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn oblique() -> Affine {
        let (s, c) = 0.3_f64.sin_cos();
        Affine::from_parts(
            [[0.0, -2.0 * c, s], [1.5 * c, 0.0, 0.0], [0.0, -2.0 * s, -c]],
            [4.0, -7.0, 20.0],
        )
    }

    #[test]
    fn inverse_composes_to_the_identity() {
        let found = oblique().inverse().unwrap().compose(&oblique());
        for (found, expected) in found
            .0
            .iter()
            .flatten()
            .zip(Affine::IDENTITY.0.iter().flatten())
        {
            assert!((found - expected).abs() < 1e-12);
        }
    }

    #[test]
    fn starting_at_moves_the_origin_along_the_axes() {
        let moved = oblique().starting_at([1.0, 2.0, 3.0]);
        assert_eq!(moved.origin(), oblique().voxel_to_world([1.0, 2.0, 3.0]));
        assert_eq!(moved.linear(), oblique().linear());
    }

    #[test]
    fn check_names_the_fault() {
        let mut affine = Affine::IDENTITY;
        affine.0[1][2] = f64::NAN;
        assert!(matches!(
            affine.check(),
            Err(GeometryError::NotFinite {
                row: 1,
                column: 2,
                ..
            })
        ));
        let mut affine = Affine::IDENTITY;
        affine.0[3][0] = 1.0;
        assert!(matches!(affine.check(), Err(GeometryError::LastRow { .. })));
        assert!(matches!(
            Affine::from_spacing([1.0, 0.0, 1.0]).check(),
            Err(GeometryError::Singular { .. })
        ));
        let flat = Affine::from_parts(
            [[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
            [0.0; 3],
        );
        assert!(matches!(
            flat.inverse(),
            Err(GeometryError::Singular { .. })
        ));
        assert_eq!(Affine::from_spacing([1e-3, 1e3, 1.0]).check(), Ok(()));
    }

    #[test]
    fn corners_run_with_the_first_axis_slowest() {
        let corners = corner_voxels([2, 3, 4]);
        assert_eq!(corners[0], [0.0, 0.0, 0.0]);
        assert_eq!(corners[1], [0.0, 0.0, 3.0]);
        assert_eq!(corners[4], [1.0, 0.0, 0.0]);
        assert_eq!(corners[7], [1.0, 2.0, 3.0]);
    }

    #[test]
    fn one_grid_has_one_shape_and_corners_within_a_tenth_of_a_voxel() {
        let grid = |affine| Geometry {
            shape: [101, 3, 3],
            affine,
        };
        let first = grid(Affine::from_spacing([2.0, 1.0, 4.0]));
        // A hundredth of a millimeter per voxel is a millimeter at the last one.
        let stretched = grid(Affine::from_spacing([2.01, 1.0, 4.0]));
        assert!(matches!(
            stretched.check_same_grid(&first),
            Err(GridDifference::Place { limit_mm, .. }) if (limit_mm - 0.1).abs() < 1e-12
        ));
        let rounded = grid(Affine::from_spacing([2.0009, 1.0, 4.0]));
        assert_eq!(rounded.check_same_grid(&first), Ok(()));
        let longer = Geometry {
            shape: [102, 3, 3],
            ..first
        };
        assert_eq!(
            longer.check_same_grid(&first),
            Err(GridDifference::Shape {
                found: [102, 3, 3],
                expected: [101, 3, 3]
            })
        );
        let nowhere = grid(Affine::from_spacing([f64::NAN, 1.0, 4.0]));
        assert!(nowhere.check_same_grid(&first).is_err());
    }

    #[test]
    fn distance_needs_equal_shapes_and_keeps_nan() {
        let a = Geometry {
            shape: [2, 2, 2],
            affine: Affine::IDENTITY,
        };
        let b = Geometry {
            shape: [2, 2, 3],
            affine: Affine::IDENTITY,
        };
        assert_eq!(a.distance_mm(&b), None);
        let c = Geometry {
            affine: Affine::from_spacing([f64::NAN, 1.0, 1.0]),
            ..a
        };
        assert!(a.distance_mm(&c).unwrap().is_nan());
    }
}
