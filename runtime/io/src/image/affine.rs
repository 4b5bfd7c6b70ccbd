//! Validation of affines of headers.

use vesal_volume::Affine;

use crate::FAR_MM;

/// Shortest length of a voxel, in mm.
const NEAR_MM: f64 = 1e-6;

/// Why an affine is unusable.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum AffineDefect {
    /// An entry is NaN, infinite or too large to compute with.
    #[error("an entry is not a finite number")]
    NotFinite,
    /// A distance beyond the limit.
    #[error("an entry of it is {found} mm, expected at most {FAR_MM} mm")]
    Far { found: f64 },
    /// A voxel axis of length 0.
    #[error("the length of a voxel is {found} mm, expected at least {NEAR_MM} mm")]
    Near { found: f64 },
    /// A column is zero, or the columns lie in one plane.
    #[error("it maps the grid onto a plane, a line or a point")]
    Singular,
    /// The quaternion of a NIfTI header is longer than one.
    #[error("its quaternion has a squared length of {squared_length}, expected at most 1")]
    Quaternion {
        /// b² + c² + d².
        squared_length: f64,
    },
}

/// Checks that an affine in mm is finite, invertible, and of lengths within the limits.
pub(crate) fn check(affine: &Affine) -> Result<(), AffineDefect> {
    let spacing = affine.spacing();
    if !affine
        .0
        .iter()
        .flatten()
        .chain(&spacing)
        .all(|entry| entry.is_finite())
    {
        return Err(AffineDefect::NotFinite);
    }
    // With a column of zeros the directions are NaN, and so is the determinant.
    let volume = Affine::from_parts(directions(affine), [0.0; 3])
        .determinant()
        .abs();
    if volume.is_nan() || volume <= 1e-6 {
        return Err(AffineDefect::Singular);
    }
    let mut entries = affine.0.iter().flatten();
    if let Some(&found) = entries.find(|entry| entry.abs() > FAR_MM) {
        return Err(AffineDefect::Far { found });
    }
    match spacing.into_iter().find(|length| *length < NEAR_MM) {
        Some(found) => Err(AffineDefect::Near { found }),
        None => Ok(()),
    }
}

/// The columns of an affine, each of length one.
pub(crate) fn directions(affine: &Affine) -> [[f64; 3]; 3] {
    let spacing = affine.spacing();
    std::array::from_fn(|row| std::array::from_fn(|column| affine.0[row][column] / spacing[column]))
}
