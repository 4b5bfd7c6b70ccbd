//! Volumes of labels.

use ndarray::ArrayView3;

use super::dice::label_overlaps;
use super::error::{MeasureError, check_spacing};

/// Computes the volume of one voxel in ml from its spacing in mm.
///
/// **Errors**: a spacing that is not finite and above 0.
///
/// ```
/// # use vesal_volume::measure::voxel_ml;
/// assert_eq!(voxel_ml([2.0, 2.0, 5.0]), Ok(0.02));
/// ```
pub fn voxel_ml(spacing: [f64; 3]) -> Result<f64, MeasureError> {
    check_spacing(spacing)?;
    Ok(spacing.iter().product::<f64>() / 1000.0)
}

/// Computes the volume of each of these labels in ml, in their order.
///
/// **Shapes and units**: label map `[X, Y, Z]`, `spacing` in mm.
///
/// **Errors**: a spacing that is not finite and above 0.
pub fn label_volumes_ml(
    map: ArrayView3<'_, u16>,
    labels: &[u16],
    spacing: [f64; 3],
) -> Result<Vec<f64>, MeasureError> {
    let voxel_ml = voxel_ml(spacing)?;
    let overlaps = label_overlaps(map, map, labels)?;
    Ok(overlaps
        .into_iter()
        .map(|overlap| overlap.truth as f64 * voxel_ml)
        .collect())
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn volumes_are_in_milliliters() {
        let map = array![[[0u16, 7, 7, 3]]];
        assert_eq!(
            label_volumes_ml(map.view(), &[7, 3, 1], [10.0, 10.0, 5.0]),
            Ok(vec![1.0, 0.5, 0.0])
        );
    }
}
