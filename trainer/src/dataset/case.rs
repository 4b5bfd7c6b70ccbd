//! Reading and preprocessing cases.

use std::path::PathBuf;

use ndarray::{Array3, Array4};
use thiserror::Error;
use vesal_bundle::DeployPlan;
use vesal_bundle::deploy_plan::{Activation, UnknownLabel};
use vesal_cases::{CaseFiles, FilesError};
use vesal_io::image::{self, ImageError, OpenOptions, ReadLimits};
use vesal_volume::preprocess::{self, PreprocessError};
use vesal_volume::{LabelMap, Volume};

use super::TrainingCase;
use super::{ClassVoxels, TrainingVolume, ValidationVolume};
use crate::rng::Rng;

/// Why a case cannot be used.
#[derive(Debug, Error)]
pub enum CaseLoadError {
    /// A file cannot be read.
    #[error("cannot read case `{case}`")]
    Read { case: String, source: ImageError },
    /// Images or label map have different grids.
    #[error("case `{case}`: images under `image` and label map must share one grid")]
    Grid {
        case: String,
        source: Box<FilesError>,
    },
    /// The number of channels differs from the plan's.
    #[error("case `{case}` has {found} channels, expected {expected} as in the deploy plan")]
    Channels {
        case: String,
        /// Channels of the files.
        found: usize,
        /// Channels of the plan.
        expected: usize,
    },
    /// A label value belongs to no class.
    #[error("case `{case}`: cannot use `{}`", path.display())]
    Label {
        case: String,
        /// Path of the label map.
        path: PathBuf,
        source: UnknownLabel,
    },
    #[error("cannot preprocess case `{case}`")]
    Preprocess {
        case: String,
        source: PreprocessError,
    },
}

impl CaseLoadError {
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Grid { .. } => Some(
                "resample the channels onto one grid first, or list the image under a key of its own and that key under \
                 `extra_modalities` of the task",
            ),
            Self::Label { .. } => {
                Some("plan again from data stats that include this case, or correct the label map")
            }
            Self::Preprocess { .. } | Self::Channels { .. } | Self::Read { .. } => None,
        }
    }
}

/// Options of reading and preprocessing.
#[derive(Debug, Clone, Copy)]
pub struct CasePreparation<'a> {
    pub plan: &'a DeployPlan,
    /// Seed of the random choice of indexed voxels, see [`ClassVoxels`].
    pub seed: u64,
    /// Whether patches may be centered on voxels without a class.
    pub with_background: bool,
}

/// Reads and preprocesses the training case of this index.
///
/// **Errors**: [`CaseLoadError`].
pub fn load_training(
    case: &TrainingCase,
    index: usize,
    preparation: CasePreparation<'_>,
) -> Result<TrainingVolume, CaseLoadError> {
    let CasePreparation {
        plan,
        seed,
        with_background,
    } = preparation;
    let (images, labels) = read(case, plan)?;
    let failed = |source| CaseLoadError::Preprocess {
        case: case.id.clone(),
        source,
    };
    let (volume, transforms) = preprocess::execute(images, &plan.preprocessing).map_err(failed)?;
    let labels = transforms.prepare_labels(&labels).map_err(failed)?;
    let classes = to_classes(labels.data, plan);
    let mut rng = Rng::new(&[seed, index as u64]);
    let voxels = ClassVoxels::new(classes.view(), with_background, &mut rng);
    Ok(TrainingVolume {
        image: contiguous(volume.data),
        classes,
        voxels,
    })
}

/// Reads and preprocesses a case for validation.
///
/// **Errors**: [`CaseLoadError`].
pub fn load_validation(
    case: &TrainingCase,
    plan: &DeployPlan,
) -> Result<ValidationVolume, CaseLoadError> {
    let (images, labels) = read(case, plan)?;
    let failed = |source| CaseLoadError::Preprocess {
        case: case.id.clone(),
        source,
    };
    let (volume, transforms) = preprocess::execute(images, &plan.preprocessing).map_err(failed)?;
    // Rejects a label map on another grid, which could not be compared with predictions.
    transforms.prepare_labels(&labels).map_err(failed)?;
    Ok(ValidationVolume {
        image: contiguous(volume.data),
        transforms,
        labels,
    })
}

/// Reads all images and the label map of a case, checks that the plan knows channels and labels, and maps label values
/// to the plan's.
fn read(case: &TrainingCase, plan: &DeployPlan) -> Result<(Vec<Volume>, LabelMap), CaseLoadError> {
    let failed = |source| CaseLoadError::Read {
        case: case.id.clone(),
        source,
    };
    let files = CaseFiles {
        images: &case.images,
        further: &case.further,
        label: Some(&case.label),
    };
    let opened = files
        .open(OpenOptions::default())
        .map_err(|source| match source {
            FilesError::Image(source) => failed(source),
            source => CaseLoadError::Grid {
                case: case.id.clone(),
                source: Box::new(source),
            },
        })?;
    let limits = ReadLimits::default();
    let (images, label) = opened.read_images(&limits).map_err(failed)?;
    let (found, expected) = (
        images.iter().map(Volume::channels).sum(),
        plan.channels.len(),
    );
    if found != expected {
        return Err(CaseLoadError::Channels {
            case: case.id.clone(),
            found,
            expected,
        });
    }
    let labels = match label {
        Some(file) => file.label_map(&limits),
        None => image::read_label_map(&case.label),
    };
    let mut labels = labels.map_err(failed)?;
    plan.translate(&mut labels)
        .map_err(|source| CaseLoadError::Label {
            case: case.id.clone(),
            path: case.label.clone(),
            source,
        })?;
    Ok((images, labels))
}

/// Replaces label values by class indices, in place; regions stay bits.
fn to_classes(mut labels: Array3<u16>, plan: &DeployPlan) -> Array3<u16> {
    if plan.activation == Activation::Softmax {
        let mut class_of = vec![0; usize::from(u16::MAX) + 1];
        for label in &plan.labels {
            class_of[usize::from(label.value)] = label.class_index as u16;
        }
        labels.mapv_inplace(|value| class_of[usize::from(value)]);
    }
    if labels.is_standard_layout() {
        labels
    } else {
        labels.as_standard_layout().into_owned()
    }
}

/// The same array in row-major memory, from which patches are cut fastest.
fn contiguous(array: Array4<f32>) -> Array4<f32> {
    if array.is_standard_layout() {
        array
    } else {
        array.as_standard_layout().into_owned()
    }
}
