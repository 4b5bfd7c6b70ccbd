//! Reading and preprocessing cases.

use std::path::PathBuf;

use ndarray::{Array3, Array4, Axis, concatenate};
use thiserror::Error;
use vesal_bundle::DeployPlan;
use vesal_io::nifti::{self, NiftiError};
use vesal_volume::preprocess::{self, PreprocessError};
use vesal_volume::{LabelMap, Volume};

use super::{ClassVoxels, TrainingVolume, ValidationVolume};
use crate::fit::TrainingCase;
use crate::rng::Rng;

/// Why a case cannot be used.
#[derive(Debug, Error)]
pub enum CaseError {
    /// A file cannot be read.
    #[error("cannot read case `{case}`")]
    Read {
        /// The case.
        case: String,
        /// What is wrong with the file.
        source: NiftiError,
    },
    /// Channels of different grids.
    #[error("case `{case}`: `{}` has {found}, `{}` has {expected}: all channels of a case must share one grid", path.display(), first.display())]
    Grid {
        /// The case.
        case: String,
        /// File of a later channel.
        path: PathBuf,
        /// Its shape and spacing.
        found: String,
        /// File of the first channel.
        first: PathBuf,
        /// Its shape and spacing.
        expected: String,
    },
    /// Fewer or more channels than planned.
    #[error("case `{case}` has {found} channels, expected {expected} as in the deploy plan")]
    Channels {
        /// The case.
        case: String,
        /// Channels of its files.
        found: usize,
        /// Channels of the plan.
        expected: usize,
    },
    /// A label value without a class.
    #[error("case `{case}`: `{}` has {voxels} voxels of label {found}, expected one of {expected:?}", path.display())]
    Label {
        /// The case.
        case: String,
        /// The label map.
        path: PathBuf,
        /// The value.
        found: u16,
        /// Voxels of that value.
        voxels: usize,
        /// Values of the plan.
        expected: Vec<u16>,
    },
    /// Preprocessing fails.
    #[error("cannot preprocess case `{case}`")]
    Preprocess {
        /// The case.
        case: String,
        /// The step and its rule.
        source: PreprocessError,
    },
}

impl CaseError {
    /// What the reader can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Grid { .. } => Some("resample the channels onto one grid first"),
            Self::Label { .. } => {
                Some("plan again from data stats that include this case, or correct the label map")
            }
            Self::Preprocess { .. } | Self::Channels { .. } | Self::Read { .. } => None,
        }
    }
}

/// Reads and preprocesses a case to train on, the one of this index.
///
/// **Errors**: [`CaseError`].
pub fn load_training(
    case: &TrainingCase,
    index: usize,
    plan: &DeployPlan,
    seed: u64,
) -> Result<TrainingVolume, CaseError> {
    let (volume, labels) = read(case, plan)?;
    let failed = |source| CaseError::Preprocess {
        case: case.id.clone(),
        source,
    };
    let (volume, trace) = preprocess::execute(volume, &plan.preprocessing).map_err(failed)?;
    let labels = trace.prepare_labels(&labels).map_err(failed)?;
    let classes = to_classes(labels.data, plan);
    let voxels = ClassVoxels::new(classes.view(), &mut Rng::new(&[seed, index as u64]));
    Ok(TrainingVolume {
        image: contiguous(volume.data),
        classes,
        voxels,
    })
}

/// Reads and preprocesses a case to score.
///
/// **Errors**: [`CaseError`].
pub fn load_validation(
    case: &TrainingCase,
    plan: &DeployPlan,
) -> Result<ValidationVolume, CaseError> {
    let (volume, labels) = read(case, plan)?;
    let failed = |source| CaseError::Preprocess {
        case: case.id.clone(),
        source,
    };
    let (volume, trace) = preprocess::execute(volume, &plan.preprocessing).map_err(failed)?;
    // Refuses a label map on another grid, which could not be compared with predictions.
    trace.prepare_labels(&labels).map_err(failed)?;
    Ok(ValidationVolume {
        image: contiguous(volume.data),
        trace,
        labels,
    })
}

/// Reads all channels and the label map of a case, and checks that the plan knows them.
fn read(case: &TrainingCase, plan: &DeployPlan) -> Result<(Volume, LabelMap), CaseError> {
    let failed = |source| CaseError::Read {
        case: case.id.clone(),
        source,
    };
    let mut volumes = Vec::with_capacity(case.images.len());
    for path in &case.images {
        volumes.push(nifti::read_channels(path).map_err(failed)?);
    }
    let volume = stack(case, volumes)?;
    let (found, expected) = (volume.channels(), plan.channels.len());
    if found != expected {
        return Err(CaseError::Channels {
            case: case.id.clone(),
            found,
            expected,
        });
    }
    let labels = nifti::read_label_map(&case.label).map_err(failed)?;
    let expected: Vec<u16> = plan.labels.iter().map(|label| label.value).collect();
    if let Some(&found) = labels.data.iter().find(|value| !expected.contains(value)) {
        return Err(CaseError::Label {
            case: case.id.clone(),
            path: case.label.clone(),
            found,
            voxels: labels.data.iter().filter(|&&value| value == found).count(),
            expected,
        });
    }
    Ok((volume, labels))
}

/// Joins the channels of several files.
fn stack(case: &TrainingCase, mut volumes: Vec<Volume>) -> Result<Volume, CaseError> {
    let describe = |volume: &Volume| {
        let geometry = volume.geometry();
        format!(
            "shape {:?} and spacing {:.4?} mm",
            geometry.shape,
            geometry.affine.spacing()
        )
    };
    let [first, rest @ ..] = volumes.as_slice() else {
        return Ok(Volume {
            data: Array4::zeros((0, 1, 1, 1)),
            affine: vesal_volume::Affine::IDENTITY,
        });
    };
    let limit_mm = first
        .affine
        .spacing()
        .into_iter()
        .fold(f64::INFINITY, f64::min)
        / 2.0;
    for (index, volume) in rest.iter().enumerate() {
        let distance = volume.geometry().distance_mm(&first.geometry());
        if !distance.is_some_and(|mm| mm <= limit_mm) {
            return Err(CaseError::Grid {
                case: case.id.clone(),
                path: case.images[index + 1].clone(),
                found: describe(volume),
                first: case.images[0].clone(),
                expected: describe(first),
            });
        }
    }
    if rest.is_empty() {
        return Ok(volumes.swap_remove(0));
    }
    let views: Vec<_> = volumes.iter().map(|volume| volume.data.view()).collect();
    // Shapes agree, as the grids do.
    let data = concatenate(Axis(0), &views).unwrap_or_default();
    Ok(Volume {
        data,
        affine: first.affine,
    })
}

/// Label values to class indices, in place.
fn to_classes(mut labels: Array3<u16>, plan: &DeployPlan) -> Array3<u16> {
    let mut class_of = vec![0; usize::from(u16::MAX) + 1];
    for label in &plan.labels {
        class_of[usize::from(label.value)] = label.class_index as u16;
    }
    labels.mapv_inplace(|value| class_of[usize::from(value)]);
    if labels.is_standard_layout() {
        labels
    } else {
        labels.as_standard_layout().into_owned()
    }
}

/// The same array in row-major memory, which patches are cut from fastest.
fn contiguous(array: Array4<f32>) -> Array4<f32> {
    if array.is_standard_layout() {
        array
    } else {
        array.as_standard_layout().into_owned()
    }
}
