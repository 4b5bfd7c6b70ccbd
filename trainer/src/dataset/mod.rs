//! Training data: cases are read, preprocessed and kept as far as memory allows, and give a reproducible sequence of
//! batches.

mod case;
mod case_cache;
mod classes;
mod crop;
mod loader;
mod sampler;
mod training_case;

pub use case::{CaseLoadError, CasePreparation, load_training, load_validation};
pub use case_cache::{CaseCache, CaseMemory, LoadCase};
pub use classes::ClassVoxels;
pub use crop::{crop_start, cut};
pub use loader::{BatchSource, DataLoader};
pub use sampler::{Batch, CaseGroup, Sampler};
pub use training_case::TrainingCase;

use ndarray::{Array3, Array4};
use vesal_volume::LabelMap;
use vesal_volume::preprocess::AppliedTransforms;

/// A case for training.
#[derive(Debug, Clone)]
pub struct TrainingVolume {
    /// Preprocessed intensities, `[C, X, Y, Z]`.
    pub image: Array4<f32>,
    /// Class indices on the same grid, `[X, Y, Z]`; regions are bits.
    pub classes: Array3<u16>,
    pub voxels: ClassVoxels,
}

/// A case for validation.
#[derive(Debug, Clone)]
pub struct ValidationVolume {
    /// Preprocessed intensities, `[C, X, Y, Z]`.
    pub image: Array4<f32>,
    /// Transforms that map predictions back to the grid of the label map.
    pub transforms: AppliedTransforms,
    /// True labels with the plan's values, on the grid of the first image.
    pub labels: LabelMap,
}

impl TrainingVolume {
    pub fn bytes(&self) -> u64 {
        (self.image.len() * size_of::<f32>() + self.classes.len() * size_of::<u16>()) as u64
            + self.voxels.bytes()
    }
}

impl ValidationVolume {
    pub fn bytes(&self) -> u64 {
        (self.image.len() * size_of::<f32>() + self.labels.data.len() * size_of::<u16>()) as u64
    }
}
