//! The grid of a volume at another spacing.

use super::error::{MAX_VOXELS, ResampleError};
use crate::geometry::matrix;
use crate::geometry::{Affine, Geometry, corner_voxels};

/// Affine entries (mm) and relative voxel maps that differ by less describe one grid.
///
/// **Source**: MONAI 1.6.1 `AFFINE_TOL`.
const AFFINE_TOLERANCE: f64 = 1e-3;

/// Tolerance in voxels within which a corner counts as the first along an axis.
const CORNER_TOLERANCE: f64 = 1e-8;

/// The grid that covers `from` at a spacing in mm.
///
/// An axis whose spacing lies within `keep` times the target, ± 1e-3 mm, keeps its spacing.
///
/// **Definition**: the axes keep their directions, made perpendicular where they are sheared (the rotation is
/// `M L⁻ᵀ` with `L Lᵀ = Mᵀ M` the Cholesky factor of the linear part `M`). Along each axis the grid has
/// `round((extent between the corner voxels' centers) / spacing + 1)` voxels, halves to even. The first voxel's center
/// stays where it was; where shear makes another corner the first along all axes, that one is the first voxel, and
/// where no corner is, the grids' centers are aligned.
///
/// **Errors**: [`ResampleError`] for a spacing that is not positive, `keep` factors that do not enclose 1, an
/// unusable affine and empty or overlarge grids.
///
/// **Source**: MONAI 1.6.1 `Spacing`, `zoom_affine(diagonal=False)` and `compute_shape_offset`.
pub fn spaced_geometry(
    from: &Geometry,
    spacing: [f64; 3],
    keep: [f64; 2],
) -> Result<Geometry, ResampleError> {
    let Spaced {
        linear,
        placed,
        least,
        counts,
    } = Spaced::new(from, spacing, keep)?;
    let corners = corner_voxels(from.shape);
    let centered = Affine::from_parts(linear, [0.0; 3]);
    let counts = counts.map(f64::round_ties_even);
    let shape = counts.map(|count| count as usize);
    if !counts.iter().product::<f64>().is_finite()
        || counts.iter().product::<f64>() > MAX_VOXELS as f64
    {
        return Err(ResampleError::TooLarge { shape });
    }
    let first = placed
        .iter()
        .position(|p| (0..3).all(|axis| (least[axis] - p[axis]).abs() <= CORNER_TOLERANCE));
    let origin = match first {
        Some(corner) => from.affine.voxel_to_world(corners[corner]),
        None => {
            let old = from
                .affine
                .voxel_to_world(from.shape.map(|n| n as f64 / 2.0));
            let new = centered.voxel_to_world(counts.map(|n| n / 2.0));
            std::array::from_fn(|axis| old[axis] - new[axis])
        }
    };
    Ok(Geometry {
        shape,
        affine: Affine::from_parts(linear, origin),
    })
}

/// A grid at this spacing that has at least as many voxels along each axis as the one of any box of `from`, however
/// large; its origin is meaningless.
///
/// **Errors**: as [`spaced_geometry`], except for overlarge grids.
pub(crate) fn spaced_bound(
    from: &Geometry,
    spacing: [f64; 3],
    keep: [f64; 2],
) -> Result<Geometry, ResampleError> {
    let Spaced { linear, counts, .. } = Spaced::new(from, spacing, keep)?;
    Ok(Geometry {
        // Boxes at other places round differently.
        shape: counts.map(|count| (count + 1e-6).round() as usize),
        affine: Affine::from_parts(linear, [0.0; 3]),
    })
}

/// Extent of a grid along its axes at another spacing.
struct Spaced {
    /// The axes at the new spacing.
    linear: matrix::Matrix<3>,
    /// Corner voxels in units of these axes.
    placed: [[f64; 3]; 8],
    /// The smallest of these along each axis.
    least: [f64; 3],
    /// Voxels along each axis, not rounded.
    counts: [f64; 3],
}

impl Spaced {
    fn new(from: &Geometry, spacing: [f64; 3], keep: [f64; 2]) -> Result<Self, ResampleError> {
        check_target(spacing, keep)?;
        from.affine.check()?;
        if from.shape.contains(&0) {
            return Err(ResampleError::Empty { shape: from.shape });
        }
        let current = from.affine.spacing();
        let [low, high] = keep;
        let kept: [f64; 3] = std::array::from_fn(|axis| {
            let (target, mm) = (spacing[axis], current[axis]);
            let range = low * target - AFFINE_TOLERANCE..=high * target + AFFINE_TOLERANCE;
            if range.contains(&mm) { mm } else { target }
        });
        let linear = zoomed(&from.affine.linear(), kept).ok_or_else(|| from.affine.singular())?;
        let centered = Affine::from_parts(linear, [0.0; 3]);
        let relative = centered.map_from(&from.affine)?;
        let placed = corner_voxels(from.shape).map(|corner| relative.voxel_to_world(corner));
        let least: [f64; 3] = std::array::from_fn(|axis| {
            placed.iter().map(|p| p[axis]).fold(f64::INFINITY, f64::min)
        });
        let most: [f64; 3] = std::array::from_fn(|axis| {
            placed
                .iter()
                .map(|p| p[axis])
                .fold(f64::NEG_INFINITY, f64::max)
        });
        Ok(Self {
            linear,
            placed,
            least,
            counts: std::array::from_fn(|axis| most[axis] - least[axis] + 1.0),
        })
    }
}

/// Checks the target of a resampling before any volume is read.
pub(crate) fn check_target(spacing: [f64; 3], keep: [f64; 2]) -> Result<(), ResampleError> {
    if let Some(axis) = spacing.iter().position(|mm| !(mm.is_finite() && *mm > 0.0)) {
        return Err(ResampleError::Spacing {
            axis,
            found: spacing[axis],
        });
    }
    let [low, high] = keep;
    if (0.0..=1.0).contains(&low) && high >= 1.0 {
        Ok(())
    } else {
        Err(ResampleError::Keep { found: keep })
    }
}

/// The linear part with this spacing and without shear; `None` where it is singular.
fn zoomed(linear: &matrix::Matrix<3>, spacing: [f64; 3]) -> Option<matrix::Matrix<3>> {
    let gram = matrix::multiply(&matrix::transpose(linear), linear);
    let upper = matrix::transpose(&matrix::cholesky(&gram)?);
    let rotation = matrix::multiply(linear, &matrix::solve(&upper, &matrix::identity())?);
    Some(std::array::from_fn(|row| {
        std::array::from_fn(|column| rotation[row][column] * spacing[column])
    }))
}

/// Whether both grids agree within the tolerances, so that resampling can be left out.
///
/// **Errors**: [`ResampleError::Geometry`] where `from` cannot be inverted.
pub fn same_grid(from: &Geometry, to: &Geometry) -> Result<bool, ResampleError> {
    let relative = from.affine.map_from(&to.affine)?;
    Ok(from.shape == to.shape
        && (close(&from.affine, &to.affine) || close(&relative, &Affine::IDENTITY)))
}

/// Entry by entry: within [`AFFINE_TOLERANCE`] plus 1e-5 of the expected entry.
fn close(found: &Affine, expected: &Affine) -> bool {
    let pairs = found.0.iter().flatten().zip(expected.0.iter().flatten());
    pairs
        .into_iter()
        .all(|(a, b)| (a - b).abs() <= AFFINE_TOLERANCE + 1e-5 * b.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape_at(shape: [usize; 3], affine: Affine, spacing: [f64; 3]) -> Geometry {
        spaced_geometry(&Geometry { shape, affine }, spacing, [1.0, 1.0]).unwrap()
    }

    #[test]
    fn shapes_follow_the_extent_between_corner_centers() {
        assert_eq!(
            shape_at([36, 50, 38], Affine::IDENTITY, [1.5, 1.5, 2.0]).shape,
            [24, 34, 20]
        );
        let flipped = Affine::from_spacing([-0.8, -0.8, 3.0]);
        let found = shape_at([512, 512, 90], flipped, [1.0; 3]);
        assert_eq!(found.shape, [410, 410, 268]);
        assert_eq!(found.affine, Affine::from_spacing([-1.0, -1.0, 1.0]));
        let permuted =
            Affine::from_parts([[0., 0., -2.], [1.5, 0., 0.], [0., 1., 0.]], [5., -3., 7.]);
        let found = shape_at([10, 11, 12], permuted, [1.0; 3]);
        assert_eq!(found.shape, [14, 11, 23]);
        assert_eq!(
            found.affine,
            Affine::from_parts([[0., 0., -1.], [1., 0., 0.], [0., 1., 0.]], [5., -3., 7.])
        );
    }

    #[test]
    fn spacings_near_the_target_are_kept() {
        let from = Geometry {
            shape: [10, 10, 10],
            affine: Affine::from_spacing([0.8, 1.3, 1.0005]),
        };
        assert_eq!(
            spaced_geometry(&from, [1.0; 3], [0.75, 1.25])
                .unwrap()
                .affine
                .spacing(),
            [0.8, 1.0, 1.0005]
        );
        assert_eq!(
            spaced_geometry(&from, [1.0; 3], [1.0, 1.0])
                .unwrap()
                .affine
                .spacing(),
            [1.0, 1.0, 1.0005]
        );
    }

    #[test]
    fn shear_is_dropped() {
        let sheared = Affine::from_parts([[1., 0.2, 0.], [0., 1., 0.], [0., 0., 1.]], [0.; 3]);
        let found = shape_at([5, 6, 7], sheared, [0.5; 3]).affine;
        assert!((found.spacing()[1] - 0.5).abs() < 1e-12 && found.0[0][1].abs() < 1e-12);
    }

    #[test]
    fn bad_targets_are_refused() {
        let from = Geometry {
            shape: [10, 10, 10],
            affine: Affine::IDENTITY,
        };
        let spaced = |spacing, keep| spaced_geometry(&from, spacing, keep);
        assert!(matches!(
            spaced([1.0, 0.0, 1.0], [1.0; 2]),
            Err(ResampleError::Spacing { axis: 1, .. })
        ));
        assert!(matches!(
            spaced([1.0, f64::NAN, 1.0], [1.0; 2]),
            Err(ResampleError::Spacing { axis: 1, .. })
        ));
        assert!(matches!(
            spaced([1.0; 3], [1.1, 1.2]),
            Err(ResampleError::Keep { .. })
        ));
        assert!(matches!(
            spaced([1.0; 3], [f64::NAN, 1.2]),
            Err(ResampleError::Keep { .. })
        ));
        assert!(matches!(
            spaced([1e-9; 3], [1.0; 2]),
            Err(ResampleError::TooLarge { .. })
        ));
        assert!(spaced([1e-320; 3], [1.0; 2]).is_err());
    }
}
