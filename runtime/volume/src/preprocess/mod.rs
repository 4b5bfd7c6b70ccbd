//! The one preprocessor: an ordered list of typed steps, each with its inverse.

use serde::{Deserialize, Serialize};

use crate::crop::CropError;
use crate::geometry::GeometryError;
use crate::intensity::{IntensityError, check_normalizations};
use crate::postprocess::LabelingError;
use crate::resample::{ResampleError, check_target};

mod cost;
mod execute;
mod inverse;
mod inverter;
mod traverse;

pub use cost::{PreprocessCost, cost};
pub use execute::{AppliedStep, AppliedTransforms, execute};
pub use inverter::{BlockConsumer, Inverter};

pub use crate::intensity::Normalization;

/// The values that are interpolated back to the grid of the input.
///
/// **Source**: Auto3DSeg inverts probabilities for segresnet, segresnet2d and swinunetr, and logits for dints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Restore {
    /// Probabilities; what was cropped away has probability 0 for every class.
    #[default]
    Probabilities,
    /// Logits, which become probabilities on the grid of the input; what was cropped away has logits 0.
    Logits,
}

impl Restore {
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Why a single step cannot be applied or undone.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum StepError {
    #[error(transparent)]
    Orient(#[from] GeometryError),
    #[error(transparent)]
    Crop(#[from] CropError),
    #[error(transparent)]
    Resample(#[from] ResampleError),
    #[error(transparent)]
    Normalize(#[from] IntensityError),
    /// No image is left to match, or to match to.
    #[error(
        "the first image has {found} channels, expected at least 1 and fewer than all {channels} channels"
    )]
    MatchChannels {
        /// Channels of the first image.
        found: usize,
        /// Channels of the case.
        channels: usize,
    },
    /// Images are matched twice.
    #[error("further images are resampled to match the first a second time, expected once")]
    MatchedTwice,
    #[error("intensities are normalized before further images are resampled to match the first")]
    NormalizedBeforeMatch,
}

/// Why a volume cannot be prepared, or a prediction not be inverted.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PreprocessError {
    #[error("preprocessing step {index} fails")]
    Step {
        /// Position in the list of steps, from 0.
        index: usize,
        source: StepError,
    },
    #[error(transparent)]
    Geometry(#[from] GeometryError),
    /// The volume has no voxels or no channels.
    #[error("volume has {channels} channels of shape {shape:?}, expected at least one voxel")]
    Empty { channels: usize, shape: [usize; 3] },
    /// Too few or too many images, or one with another number of channels.
    #[error("case has images of {found:?} channels, expected {expected:?}")]
    Images {
        found: Vec<usize>,
        /// Expected channels of each image.
        expected: Vec<usize>,
    },
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
        expected: [usize; 3],
    },
    /// A label map has another affine than its image.
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
        found: [usize; 3],
        /// Shape of the prepared volume.
        expected: [usize; 3],
    },
    #[error(transparent)]
    Labeling(#[from] LabelingError),
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
    /// Resamples every secondary image, each on a grid of its own, onto the current grid of the first, and appends it
    /// as a channel; beyond an image's border, the nearest voxel is used.
    ResampleToMatch {
        /// Channels of the first image; every other channel is an image of its own.
        first_channels: usize,
    },
    /// Normalizes each channel's intensities.
    Normalize { channels: Vec<Normalization> },
}

/// Channels of each image that a case consists of: one image, or with [`Step::ResampleToMatch`] as many as have grids of
/// their own.
pub fn image_channels(steps: &[Step], channels: usize) -> Vec<usize> {
    let first = steps.iter().find_map(|step| match step {
        Step::ResampleToMatch { first_channels } => Some((*first_channels).min(channels)),
        _ => None,
    });
    let first = first.unwrap_or(channels);
    std::iter::once(first)
        .chain(std::iter::repeat_n(1, channels - first))
        .collect()
}

/// Checks the parameters of all steps for a case of this number of channels, before any image is read.
///
/// **Errors**: [`PreprocessError::Step`] for the first step whose parameters cannot be used.
pub fn check_steps(steps: &[Step], channels: usize) -> Result<(), PreprocessError> {
    for (index, step) in steps.iter().enumerate() {
        let checked: Result<(), StepError> = match step {
            Step::OrientRas | Step::CropForeground { .. } => Ok(()),
            Step::Resample { spacing, keep } => {
                check_target(*spacing, *keep).map_err(StepError::from)
            }
            Step::ResampleToMatch { first_channels } => {
                check_match(&steps[..index], *first_channels, channels)
            }
            Step::Normalize { channels: each } => {
                check_normalizations(each, channels).map_err(StepError::from)
            }
        };
        checked.map_err(|source| PreprocessError::Step { index, source })?;
    }
    Ok(())
}

/// Checks a match against the steps before it.
fn check_match(before: &[Step], found: usize, channels: usize) -> Result<(), StepError> {
    for step in before {
        match step {
            Step::ResampleToMatch { .. } => return Err(StepError::MatchedTwice),
            Step::Normalize { .. } => return Err(StepError::NormalizedBeforeMatch),
            Step::OrientRas | Step::CropForeground { .. } | Step::Resample { .. } => {}
        }
    }
    if (1..channels).contains(&found) {
        Ok(())
    } else {
        Err(StepError::MatchChannels { found, channels })
    }
}
