//! Plans of sliding windows.

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

/// Padding of a volume that is smaller than the window.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Padding {
    Constant(f32),
    /// The nearest voxel of the volume.
    Replicate,
}

/// Placement of windows over a volume.
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
