//! The one preprocessor: an ordered list of typed steps, each with its inverse.

use serde::{Deserialize, Serialize};

use crate::crop::CropError;
use crate::geometry::GeometryError;
use crate::intensity::{IntensityError, check_normalizations};
use crate::postprocess::ArgmaxError;
use crate::resample::{ResampleError, check_target};

mod execute;
mod inverse;

pub use execute::{AppliedStep, Trace, execute};

/// Why a single step cannot be applied or undone.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum StepError {
    /// The grid cannot be reoriented.
    #[error(transparent)]
    Orient(#[from] GeometryError),
    /// The crop cannot be made.
    #[error(transparent)]
    Crop(#[from] CropError),
    /// The volume cannot be resampled.
    #[error(transparent)]
    Resample(#[from] ResampleError),
    /// The intensities cannot be normalized.
    #[error(transparent)]
    Normalize(#[from] IntensityError),
}

/// Why a volume cannot be prepared, or a prediction not be brought back.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum PreprocessError {
    /// A step failed.
    #[error("preprocessing step {index} fails")]
    Step {
        /// Position in the list of steps, from 0.
        index: usize,
        /// What failed.
        source: StepError,
    },
    /// The volume's affine cannot be used.
    #[error(transparent)]
    Geometry(#[from] GeometryError),
    /// The volume has no voxels or no channels.
    #[error("volume has {channels} channels of shape {shape:?}, expected at least one voxel")]
    Empty {
        /// Channels found.
        channels: usize,
        /// Shape found.
        shape: [usize; 3],
    },
    /// Intensities are NaN or infinite.
    #[error(
        "channel {channel} has {voxels} voxels that are NaN or infinite, expected finite intensities"
    )]
    NotFinite {
        /// Channel, from 0.
        channel: usize,
        /// Number of such voxels.
        voxels: usize,
    },
    /// A label map has another shape than its image.
    #[error("label map has shape {found:?}, its image has {expected:?}")]
    LabelShape {
        /// Shape of the label map.
        found: [usize; 3],
        /// Shape of the image.
        expected: [usize; 3],
    },
    /// A label map lies elsewhere than its image.
    #[error(
        "label map lies up to {found_mm:.3} mm away from its image, expected at most {limit_mm:.3} mm"
    )]
    LabelPlace {
        /// Largest distance between corresponding corner voxels in mm.
        found_mm: f64,
        /// Half of the image's smallest spacing in mm.
        limit_mm: f64,
    },
    /// A prediction has another shape than the prepared volume.
    #[error("prediction has shape {found:?}, the prepared volume has {expected:?}")]
    PredictionShape {
        /// Shape of the prediction.
        found: [usize; 3],
        /// Shape of the prepared volume.
        expected: [usize; 3],
    },
    /// Probabilities give no labels.
    #[error(transparent)]
    Argmax(#[from] ArgmaxError),
}

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

/// Checks the parameters of all steps for a volume of so many channels, before any volume is there.
///
/// **Errors**: [`PreprocessError::Step`] for the first step whose parameters cannot be used.
pub fn check_steps(steps: &[Step], channels: usize) -> Result<(), PreprocessError> {
    for (index, step) in steps.iter().enumerate() {
        let checked: Result<(), StepError> = match step {
            Step::OrientRas | Step::CropForeground { .. } => Ok(()),
            Step::Resample { spacing, keep } => {
                check_target(*spacing, *keep).map_err(StepError::from)
            }
            Step::Normalize { channels: each } => {
                check_normalizations(each, channels).map_err(StepError::from)
            }
        };
        checked.map_err(|source| PreprocessError::Step { index, source })?;
    }
    Ok(())
}
