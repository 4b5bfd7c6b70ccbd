//! Distances between the surfaces of masks.

use ndarray::{Array3, ArrayView3};

use super::boundary::{boundary, bounds, union};
use super::distance::squared_distances;
use super::error::{MeasureError, check_shapes, check_spacing};

/// Distances between the surfaces of a truth and a prediction, voxel to nearest voxel, both ways.
///
/// Where only one of them is empty, every distance is infinite; where both are, there is none.
///
/// **Source**: MONAI 1.6.1 `get_edge_surface_distance`; distances are `f32` as there, which also makes `0.1 * 8` mm
/// lie within a tolerance of 0.8 mm.
#[derive(Debug, Clone, PartialEq)]
pub struct SurfaceDistances {
    from_truth: Vec<f32>,
    from_prediction: Vec<f32>,
}

impl SurfaceDistances {
    /// Largest distance in mm: the Hausdorff distance.
    ///
    /// **Definition**: `None` where both are empty; infinite where one is.
    pub fn hausdorff_mm(&self) -> Option<f64> {
        self.all().max_by(f64::total_cmp)
    }

    /// The larger of the two directed 95 % quantiles in mm.
    ///
    /// **Definition**: quantiles are interpolated linearly; `None` where either is empty.
    ///
    /// **Source**: MONAI 1.6.1 `compute_hausdorff_distance`, which gives NaN where either is empty; the rank is `f32`
    /// as in `torch.quantile`.
    pub fn hausdorff95_mm(&self) -> Option<f64> {
        let quantile =
            quantile(&self.from_truth, 0.95)?.max(quantile(&self.from_prediction, 0.95)?);
        quantile.is_finite().then_some(quantile)
    }

    /// Mean distance in mm over both surfaces together: the average symmetric surface distance.
    ///
    /// **Definition**: `None` where both are empty; infinite where one is.
    pub fn average_mm(&self) -> Option<f64> {
        let count = self.from_truth.len() + self.from_prediction.len();
        (count > 0).then(|| self.all().sum::<f64>() / count as f64)
    }

    /// Share of both surfaces that lies within a tolerance in mm of the other: the normalized surface Dice.
    ///
    /// **Definition**: every surface voxel counts the same; `None` where both are empty; 0 where one is.
    ///
    /// **Errors**: a tolerance that is not finite and at least 0.
    ///
    /// **Source**: Nikolov et al. 2018 (arXiv 1809.04430); MONAI 1.6.1 `compute_surface_dice` without subvoxels.
    pub fn surface_dice(&self, tolerance_mm: f64) -> Result<Option<f64>, MeasureError> {
        if !(tolerance_mm.is_finite() && tolerance_mm >= 0.0) {
            return Err(MeasureError::Tolerance { tolerance_mm });
        }
        let count = self.from_truth.len() + self.from_prediction.len();
        let within = self
            .all()
            .filter(|&distance| distance as f32 <= tolerance_mm as f32)
            .count();
        Ok((count > 0).then(|| within as f64 / count as f64))
    }

    fn all(&self) -> impl Iterator<Item = f64> + '_ {
        self.from_truth
            .iter()
            .chain(&self.from_prediction)
            .map(|&distance| f64::from(distance))
    }
}

/// Measures the distances between the surfaces of two masks, `[X, Y, Z]`, with spacing in mm.
///
/// **Errors**: different shapes, or a spacing that is not finite and above 0.
pub fn mask_surface_distances(
    truth: ArrayView3<'_, bool>,
    prediction: ArrayView3<'_, bool>,
    spacing: [f64; 3],
) -> Result<SurfaceDistances, MeasureError> {
    surface_distances(truth, prediction, |inside| inside, spacing)
}

/// Measures the distances between the surfaces of one label in two label maps, `[X, Y, Z]`, with spacing in mm.
///
/// **Errors**: different shapes, or a spacing that is not finite and above 0.
pub fn label_surface_distances(
    truth: ArrayView3<'_, u16>,
    prediction: ArrayView3<'_, u16>,
    label: u16,
    spacing: [f64; 3],
) -> Result<SurfaceDistances, MeasureError> {
    surface_distances(truth, prediction, |value| value == label, spacing)
}

fn surface_distances<T: Copy + Sync>(
    truth: ArrayView3<'_, T>,
    prediction: ArrayView3<'_, T>,
    inside: impl Fn(T) -> bool + Sync,
    spacing: [f64; 3],
) -> Result<SurfaceDistances, MeasureError> {
    check_shapes(&truth, &prediction)?;
    check_spacing(spacing)?;
    let cropped = match (bounds(truth, &inside), bounds(prediction, &inside)) {
        (Some(a), Some(b)) => union(a, b),
        (Some(one), None) | (None, Some(one)) => {
            let [truth, prediction] =
                [truth, prediction].map(|values| boundary(values, &one, &inside));
            let count = truth
                .iter()
                .chain(&prediction)
                .filter(|edge| **edge)
                .count();
            let infinite = vec![f32::INFINITY; count];
            return Ok(SurfaceDistances {
                from_truth: infinite.clone(),
                from_prediction: infinite,
            });
        }
        (None, None) => {
            return Ok(SurfaceDistances {
                from_truth: Vec::new(),
                from_prediction: Vec::new(),
            });
        }
    };
    let [truth, prediction] = [truth, prediction].map(|values| boundary(values, &cropped, &inside));
    let from_truth = directed(&truth, &prediction, spacing);
    let from_prediction = directed(&prediction, &truth, spacing);
    Ok(SurfaceDistances {
        from_truth,
        from_prediction,
    })
}

/// The distance in mm from every voxel of one surface to the nearest of the other.
fn directed(from: &Array3<bool>, to: &Array3<bool>, spacing: [f64; 3]) -> Vec<f32> {
    let squares = squared_distances(to, spacing);
    from.iter()
        .zip(&squares)
        .filter(|(edge, _)| **edge)
        .map(|(_, square)| square.sqrt() as f32)
        .collect()
}

/// A quantile with linear interpolation between the two nearest ranks; `None` of nothing.
fn quantile(values: &[f32], fraction: f32) -> Option<f64> {
    let rank = fraction * values.len().checked_sub(1)? as f32;
    let below = (rank.floor() as usize).min(values.len() - 1);
    let mut values = values.to_vec();
    let (_, &mut low, above) = values.select_nth_unstable_by(below, f32::total_cmp);
    let high = above.iter().copied().min_by(f32::total_cmp).unwrap_or(low);
    let (low, high) = (f64::from(low), f64::from(high));
    Some(low + f64::from(rank.fract()) * (high - low))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn voxel(at: [usize; 3]) -> Array3<bool> {
        let mut mask = Array3::from_elem((9, 9, 9), false);
        mask[at] = true;
        mask
    }

    fn distances(
        truth: &Array3<bool>,
        prediction: &Array3<bool>,
        spacing: [f64; 3],
    ) -> SurfaceDistances {
        mask_surface_distances(truth.view(), prediction.view(), spacing).unwrap()
    }

    #[test]
    fn two_voxels_are_apart_by_spacing() {
        let found = distances(&voxel([1, 2, 3]), &voxel([4, 6, 3]), [1.0, 3.0, 9.0]);
        let expected = Some(f64::from((9.0f32 + 144.0).sqrt()));
        assert_eq!(found.hausdorff_mm(), expected);
        assert_eq!(found.hausdorff95_mm(), expected);
        assert_eq!(found.average_mm(), expected);
        assert_eq!(found.surface_dice(12.0), Ok(Some(0.0)));
        assert_eq!(found.surface_dice(13.0), Ok(Some(1.0)));
    }

    #[test]
    fn directions_differ() {
        let mut prediction = voxel([1, 1, 1]);
        prediction[[1, 1, 6]] = true;
        let found = distances(&voxel([1, 1, 1]), &prediction, [1.0; 3]);
        assert_eq!(found.hausdorff_mm(), Some(5.0));
        assert_eq!(found.hausdorff95_mm(), Some(5.0 * f64::from(0.95f32)));
        assert_eq!(found.average_mm(), Some(5.0 / 3.0));
        assert_eq!(found.surface_dice(1.0), Ok(Some(2.0 / 3.0)));
    }

    #[test]
    fn empty_masks_are_undefined_or_infinitely_far() {
        let empty = Array3::from_elem((9, 9, 9), false);
        let both = distances(&empty, &empty, [1.0; 3]);
        assert_eq!(
            (
                both.hausdorff_mm(),
                both.hausdorff95_mm(),
                both.average_mm()
            ),
            (None, None, None)
        );
        assert_eq!(both.surface_dice(1.0), Ok(None));
        for (truth, prediction) in [(&empty, &voxel([0, 0, 0])), (&voxel([0, 0, 0]), &empty)] {
            let one = distances(truth, prediction, [1.0; 3]);
            assert_eq!(one.hausdorff_mm(), Some(f64::INFINITY));
            assert_eq!(one.hausdorff95_mm(), None);
            assert_eq!(one.average_mm(), Some(f64::INFINITY));
            assert_eq!(one.surface_dice(1.0), Ok(Some(0.0)));
        }
    }

    #[test]
    fn a_distance_of_exactly_the_tolerance_counts() {
        for mm in [0.1, 0.3, 0.7, 0.8, 0.9] {
            let found = distances(&voxel([0, 0, 0]), &voxel([0, 3, 0]), [1.0, mm, 1.0]);
            assert_eq!(found.surface_dice(3.0 * mm), Ok(Some(1.0)), "{mm}");
            assert_eq!(found.surface_dice(2.999 * mm), Ok(Some(0.0)), "{mm}");
        }
    }
}
