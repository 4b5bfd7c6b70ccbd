//! The data that augmentation changes.

use ndarray::{Array3, Array4};

/// A training sample, cut out of a case.
#[derive(Debug, Clone, PartialEq)]
pub struct Patch {
    /// Preprocessed intensities, `[C, X, Y, Z]`.
    pub image: Array4<f32>,
    /// Class indices, `[X, Y, Z]`.
    pub classes: Array3<u16>,
}
