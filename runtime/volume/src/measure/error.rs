//! Why a measure has no value.

use ndarray::ArrayView3;
use thiserror::Error;

/// Why a measure has no value.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
pub enum MeasureError {
    #[error("prediction has shape {prediction:?}, truth {truth:?}, expected one grid ([X, Y, Z])")]
    Shape {
        /// Shape of the truth.
        truth: [usize; 3],
        /// Shape of the prediction.
        prediction: [usize; 3],
    },
    /// A spacing that is not positive and finite.
    #[error("spacing is {spacing:?} mm, expected finite lengths above 0")]
    Spacing {
        /// Spacing in mm, `[X, Y, Z]`.
        spacing: [f64; 3],
    },
    /// A tolerance that is negative or not finite.
    #[error("surface tolerance is {tolerance_mm} mm, expected a finite distance of at least 0")]
    Tolerance {
        /// Tolerance in mm.
        tolerance_mm: f64,
    },
}

/// Checks that masks share a grid.
pub(super) fn check_shapes<A, B>(
    truth: &ArrayView3<'_, A>,
    prediction: &ArrayView3<'_, B>,
) -> Result<(), MeasureError> {
    if truth.dim() == prediction.dim() {
        return Ok(());
    }
    Err(MeasureError::Shape {
        truth: truth.dim().into(),
        prediction: prediction.dim().into(),
    })
}

/// Checks that a spacing is three positive finite lengths.
pub(super) fn check_spacing(spacing: [f64; 3]) -> Result<(), MeasureError> {
    if spacing.iter().all(|mm| mm.is_finite() && *mm > 0.0) {
        return Ok(());
    }
    Err(MeasureError::Spacing { spacing })
}
