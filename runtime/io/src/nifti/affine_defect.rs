//! Why an affine cannot be used.

use crate::FAR_MM;

/// Shortest length of a voxel, in mm.
pub(super) const NEAR_MM: f64 = 1e-6;

/// Why an affine is unusable.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum AffineDefect {
    /// An entry is NaN, infinite or too large to compute with.
    #[error("an entry is not a finite number")]
    NotFinite,
    /// A distance that no scanner has.
    #[error("an entry of it is {found} mm, expected at most {FAR_MM} mm")]
    Far { found: f64 },
    /// Voxels without size.
    #[error("the length of a voxel is {found} mm, expected at least {NEAR_MM} mm")]
    Near { found: f64 },
    /// A column is zero, or the columns lie in one plane.
    #[error("it maps the grid onto a plane, a line or a point")]
    Singular,
    /// The quaternion is longer than one.
    #[error("its quaternion has a squared length of {squared_length}, expected at most 1")]
    Quaternion {
        /// b² + c² + d².
        squared_length: f64,
    },
}
