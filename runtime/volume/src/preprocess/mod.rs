//! The one preprocessor: an ordered list of typed steps, each with its inverse.

use serde::{Deserialize, Serialize};

/// Intensity normalization of one channel.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Normalization {
    /// `sigmoid(2 (x - low) / (high - low) - 1)`, unclipped: CT.
    SigmoidRange {
        /// Maps to sigmoid(-1).
        low: f32,
        /// Maps to sigmoid(1).
        high: f32,
    },
    /// Zero mean and unit population deviation over the voxels that are not zero; zeros stay zero: MR.
    ZScoreNonzero,
    /// Intensities as they are.
    Identity,
}

/// One step of preprocessing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Step {
    /// Permutes and flips the axes so that they run to the right, anterior and superior (RAS).
    OrientRas,
    /// Crops to the bounding box of voxels above the threshold in any channel, widened by a margin in voxels.
    CropForeground {
        /// Foreground is strictly above this value.
        threshold: f32,
        /// Voxels kept around the bounding box, clipped at the volume's edge.
        margin: usize,
    },
    /// Resamples to this spacing; an axis whose spacing is within `keep` times the target stays as it is.
    Resample {
        /// Target spacing in mm, `[X, Y, Z]`.
        spacing: [f64; 3],
        /// `[low, high]` factors of the target within which an axis is kept; `[1, 1]` keeps exact matches only.
        keep: [f64; 2],
    },
    /// Normalizes each channel's intensities.
    Normalize {
        /// One per channel.
        channels: Vec<Normalization>,
    },
}
