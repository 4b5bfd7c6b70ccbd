//! Overlap and surface distances of a prediction and the truth, and volumes of labels.
//!
//! Masks are compared voxel by voxel on one grid; distances are in millimeters by the grid's spacing. Surfaces are the
//! voxels of a mask that touch its outside through a face; voxels outside of the volume are outside of the mask.

mod boundary;
mod components;
mod dice;
mod distance;
mod error;
mod size;
mod surface;

use ndarray::ArrayView3;
use serde::Serialize;

pub use components::{Component, components};
pub use dice::{EmptyTruth, Overlap, label_overlaps, mask_overlap, region_overlaps};
pub use error::MeasureError;
pub use size::{label_volumes_ml, voxel_ml};
pub use surface::{SurfaceDistances, label_surface_distances, mask_surface_distances};

/// All measures of one label.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LabelMeasures {
    /// Value in the label maps.
    pub label: u16,
    /// Dice; `None` where the truth is empty.
    pub dice: Option<f64>,
    /// Largest surface distance in mm; see [`SurfaceDistances::hausdorff_mm`].
    pub hausdorff_mm: Option<f64>,
    /// 95 % surface distance in mm; see [`SurfaceDistances::hausdorff95_mm`].
    pub hausdorff95_mm: Option<f64>,
    /// Mean surface distance in mm; see [`SurfaceDistances::average_mm`].
    pub average_surface_distance_mm: Option<f64>,
    /// Share of the surfaces within the tolerance; see [`SurfaceDistances::surface_dice`].
    pub surface_dice: Option<f64>,
    /// Volume of the truth in ml.
    pub truth_ml: f64,
    /// Volume of the prediction in ml.
    pub prediction_ml: f64,
}

/// Measures each of these labels, in their order.
///
/// **Shapes and units**: label maps `[X, Y, Z]` on one grid; `spacing` in mm, `[X, Y, Z]`.
///
/// **Errors**: different shapes, or a spacing or tolerance that is not a valid length.
pub fn measure_labels(
    truth: ArrayView3<'_, u16>,
    prediction: ArrayView3<'_, u16>,
    labels: &[u16],
    spacing: [f64; 3],
    tolerance_mm: f64,
) -> Result<Vec<LabelMeasures>, MeasureError> {
    let voxel_ml = voxel_ml(spacing)?;
    let overlaps = label_overlaps(truth, prediction, labels)?;
    labels
        .iter()
        .zip(overlaps)
        .map(|(&label, overlap)| {
            let surfaces = label_surface_distances(truth, prediction, label, spacing)?;
            Ok(LabelMeasures {
                label,
                dice: overlap.dice(EmptyTruth::Undefined),
                hausdorff_mm: surfaces.hausdorff_mm(),
                hausdorff95_mm: surfaces.hausdorff95_mm(),
                average_surface_distance_mm: surfaces.average_mm(),
                surface_dice: surfaces.surface_dice(tolerance_mm)?,
                truth_ml: overlap.truth as f64 * voxel_ml,
                prediction_ml: overlap.prediction as f64 * voxel_ml,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::*;

    #[test]
    fn measures_every_label_by_itself() {
        let mut truth = Array3::<u16>::zeros((6, 5, 4));
        truth.slice_mut(ndarray::s![1..3, 1..3, 1..3]).fill(2);
        let mut prediction = Array3::zeros((6, 5, 4));
        prediction.slice_mut(ndarray::s![2..4, 1..3, 1..3]).fill(2);
        prediction[[5, 4, 3]] = 300;
        let measures = measure_labels(
            truth.view(),
            prediction.view(),
            &[300, 2, 9],
            [2.0, 1.0, 1.0],
            1.0,
        )
        .unwrap();
        let moved = LabelMeasures {
            label: 2,
            dice: Some(0.5),
            hausdorff_mm: Some(2.0),
            hausdorff95_mm: Some(2.0),
            average_surface_distance_mm: Some(1.0),
            surface_dice: Some(0.5),
            truth_ml: 0.016,
            prediction_ml: 0.016,
        };
        assert_eq!(measures[1], moved);
        assert_eq!(
            (measures[0].dice, measures[0].hausdorff_mm),
            (None, Some(f64::INFINITY))
        );
        assert_eq!(
            (
                measures[2].dice,
                measures[2].hausdorff_mm,
                measures[2].truth_ml
            ),
            (None, None, 0.0)
        );
    }

    #[test]
    fn refuses_other_grids_and_impossible_lengths() {
        let small = Array3::<u16>::zeros((2, 2, 2));
        let large = Array3::<u16>::zeros((2, 2, 3));
        let error = measure_labels(small.view(), large.view(), &[1], [1.0; 3], 1.0).unwrap_err();
        assert_eq!(
            error,
            MeasureError::Shape {
                truth: [2, 2, 2],
                prediction: [2, 2, 3]
            }
        );
        for mm in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let result = measure_labels(small.view(), small.view(), &[1], [1.0, mm, 1.0], 1.0);
            assert!(matches!(result, Err(MeasureError::Spacing { .. })), "{mm}");
        }
        for tolerance in [-0.1, f64::NAN, f64::INFINITY] {
            let result = measure_labels(small.view(), small.view(), &[1], [1.0; 3], tolerance);
            assert!(
                matches!(result, Err(MeasureError::Tolerance { .. })),
                "{tolerance}"
            );
        }
    }
}
