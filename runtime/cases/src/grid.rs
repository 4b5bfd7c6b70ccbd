//! Channels of one image share one grid; others show the same region of space.

use vesal_volume::{Geometry, GridDifference};

#[derive(Debug, thiserror::Error)]
#[error("all channels of a case must share one grid")]
pub struct OneGrid;

/// How the grids of two channels differ.
#[derive(Debug, thiserror::Error)]
pub enum GridError {
    /// Different numbers of voxels.
    #[error("channel `{channel}` has shape {found:?}, channel `{first}` has {expected:?}")]
    Shape {
        channel: String,
        found: [usize; 3],
        first: String,
        expected: [usize; 3],
        #[source]
        rule: OneGrid,
    },
    /// Voxels of different size.
    #[error(
        "channel `{channel}` has spacing {found:.2?} mm, channel `{first}` has {expected:.2?} mm"
    )]
    Spacing {
        channel: String,
        found: [f64; 3],
        first: String,
        expected: [f64; 3],
        #[source]
        rule: OneGrid,
    },
    /// Voxels of one size at different places.
    #[error(
        "channel `{channel}` lies up to {found_mm:.2} mm from channel `{first}`, expected at most {limit_mm:.2} mm"
    )]
    Place {
        channel: String,
        /// Largest distance of corresponding corners in mm.
        found_mm: f64,
        first: String,
        /// The limit in mm.
        limit_mm: f64,
        #[source]
        rule: OneGrid,
    },
    /// A channel on a grid of its own that does not overlap the first one.
    #[error("channel `{channel}` shows another region of space than channel `{first}`")]
    Apart { channel: String, first: String },
}

/// Sampling points along each axis of a grid, at which coverage by another grid is tested.
const COVER_POINTS: usize = 17;

/// Coverage of the first channel's region from which no warning is given.
const COVERED_AT_LEAST: f64 = 0.5;

/// Checks that a channel on a grid of its own overlaps the first one, onto whose grid it is resampled; elsewhere it is
/// padding. Returns a warning where the overlap is small.
///
/// **Errors**: they do not overlap.
pub fn check_own(
    first: (&str, &Geometry),
    other: (&str, &Geometry),
) -> Result<Option<String>, GridError> {
    let ((first, expected), (channel, found)) = (first, other);
    let share = covered(expected, found);
    if share == 0.0 {
        return Err(GridError::Apart {
            channel: channel.to_owned(),
            first: first.to_owned(),
        });
    }
    Ok((share < COVERED_AT_LEAST).then(|| {
        format!(
            "channel `{channel}` shows {:.0} % of the region that channel `{first}` shows",
            100.0 * share
        )
    }))
}

/// Share of a grid that another one covers, from 0 to 1, sampled at 17 × 17 × 17 points, evenly from the center of the
/// first voxel of each axis to that of the last.
fn covered(grid: &Geometry, by: &Geometry) -> f64 {
    let Ok(to_voxel) = by.affine.inverse() else {
        return 0.0;
    };
    let along = |axis: usize, step: usize| {
        (grid.shape[axis] as f64 - 1.0) * step as f64 / (COVER_POINTS - 1) as f64
    };
    let is_inside = |point: [f64; 3]| {
        let at = to_voxel.voxel_to_world(grid.affine.voxel_to_world(point));
        (0..3).all(|axis| at[axis] >= -0.5 && at[axis] <= by.shape[axis] as f64 - 0.5)
    };
    let count = COVER_POINTS.pow(3);
    let points = (0..count).map(|index| {
        let steps = [
            index % COVER_POINTS,
            index / COVER_POINTS % COVER_POINTS,
            index / COVER_POINTS.pow(2),
        ];
        [0, 1, 2].map(|axis| along(axis, steps[axis]))
    });
    points.filter(|point| is_inside(*point)).count() as f64 / count as f64
}

/// Checks that a channel lies on the grid of the first one: see [`Geometry::check_same_grid`].
///
/// **Errors**: the first difference of shape, spacing and place.
pub fn check(first: (&str, &Geometry), other: (&str, &Geometry)) -> Result<(), GridError> {
    let ((first, expected), (channel, found)) = (first, other);
    let Err(difference) = found.check_same_grid(expected) else {
        return Ok(());
    };
    let (channel, first, rule) = (channel.to_owned(), first.to_owned(), OneGrid);
    let [found, expected] = [found, expected].map(|grid| grid.affine.spacing());
    let same_spacing = (0..3).all(|axis| (found[axis] / expected[axis] - 1.0).abs() < 0.005);
    Err(match difference {
        GridDifference::Shape { found, expected } => GridError::Shape {
            channel,
            found,
            first,
            expected,
            rule,
        },
        GridDifference::Place { found_mm, limit_mm } if same_spacing => GridError::Place {
            channel,
            found_mm,
            first,
            limit_mm,
            rule,
        },
        GridDifference::Place { .. } => GridError::Spacing {
            channel,
            found,
            first,
            expected,
            rule,
        },
    })
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use vesal_volume::Affine;

    use super::*;

    fn grid(spacing: [f64; 3]) -> Geometry {
        Geometry {
            shape: [8, 8, 8],
            affine: Affine::from_spacing(spacing),
        }
    }

    #[test]
    fn the_difference_is_named_and_then_the_rule() {
        let (first, other) = (grid([1.0; 3]), grid([1.0, 1.0, 5.0]));
        let error = check(("t1", &first), ("t2", &other)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "channel `t2` has spacing [1.00, 1.00, 5.00] mm, channel `t1` has [1.00, 1.00, 1.00] mm"
        );
        assert_eq!(
            error.source().unwrap().to_string(),
            "all channels of a case must share one grid"
        );
    }

    #[test]
    fn what_is_covered_is_the_share_of_points_within() {
        let grid = grid([2.0; 3]);
        let of = |x: f64, spacing: f64, shape: [usize; 3]| {
            let affine =
                Affine::from_parts(Affine::from_spacing([spacing; 3]).linear(), [x, 0.0, 0.0]);
            covered(&grid, &Geometry { shape, affine })
        };
        assert_eq!(of(0.0, 2.0, [8, 8, 8]), 1.0);
        assert_eq!(of(-3.0, 1.0, [30, 20, 20]), 1.0);
        // 9 of 17 points along the first axis lie at 7 mm or beyond.
        assert_eq!(of(8.0, 2.0, [8, 8, 8]), 9.0 / 17.0);
        assert_eq!(of(0.0, 2.0, [8, 8, 1]), 2.0 / 17.0);
        assert_eq!(of(500.0, 2.0, [8, 8, 8]), 0.0);
    }

    #[test]
    fn shape_and_place_count_and_rounding_does_not() {
        let first = grid([1.0; 3]);
        let longer = Geometry {
            shape: [8, 8, 9],
            ..first
        };
        assert!(matches!(
            check(("a", &first), ("b", &longer)),
            Err(GridError::Shape { .. })
        ));
        let moved = |mm: f64| Geometry {
            affine: Affine::from_parts(first.affine.linear(), [0.0, mm, 0.0]),
            ..first
        };
        assert!(matches!(
            check(("a", &first), ("b", &moved(0.11))),
            Err(GridError::Place { .. })
        ));
        assert!(check(("a", &first), ("b", &moved(0.09))).is_ok());
    }
}
