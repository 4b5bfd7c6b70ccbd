//! Sliding windows: where they lie, how they are weighted, and how their outputs are stitched into a volume.

mod blending;
mod grid;
mod importance;
mod patch;
mod stitch;
mod validate;

pub use blending::{Blending, Stitcher};
pub use grid::WindowGrid;
pub use importance::importance_map;
pub use stitch::{Progress, StitchError, Walk, stitch, stitch_planes, walk_bytes};
pub use validate::WindowError;

use ndarray::{ArrayView5, CowArray, Ix5};
use serde::{Deserialize, Serialize};

/// How a window's output is weighted where windows overlap.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Blend {
    /// Gaussian centered in the window; `sigma_scale` is the standard deviation as a fraction of the window's size.
    Gaussian {
        /// Standard deviation / window size, per axis.
        sigma_scale: f64,
    },
    /// Every voxel of a window weighs the same.
    Constant,
}

/// What surrounds a volume that is smaller than the window.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Padding {
    /// This value.
    Constant(f32),
    /// The nearest voxel of the volume.
    Replicate,
}

/// How a volume is covered with windows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WindowPlan {
    /// Window shape in voxels, `[X, Y, Z]`.
    pub size: [usize; 3],
    /// Fraction shared by neighbors, per axis, in `[0, 1)`.
    pub overlap: [f64; 3],
    /// Weighting inside the window.
    pub blend: Blend,
    /// Padding of volumes smaller than the window.
    pub padding: Padding,
}

/// Predicts patches of one fixed window shape: implemented by the trainer (Burn) and the engine (ONNX Runtime).
pub trait PatchPredictor {
    /// Why a prediction failed.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Channels of the output.
    fn output_channels(&self) -> usize;

    /// Largest number of patches per call; the last call of a volume may get fewer.
    fn max_batch(&self) -> usize;

    /// Predicts a batch.
    ///
    /// **Shapes**: `[N, C, X, Y, Z]` → `[N, K, X, Y, Z]` with the same N and spatial shape.
    fn predict(
        &mut self,
        patches: ArrayView5<'_, f32>,
    ) -> Result<CowArray<'_, f32, Ix5>, Self::Error>;
}
