//! Brings predictions on the prepared grid back to the input's grid.

use ndarray::{Array3, Array4, ArrayView4, CowArray, s};

use super::{AppliedStep, AppliedTransforms, PreprocessError, StepError};
use crate::crop::VoxelBox;
use crate::geometry::Geometry;
use crate::postprocess::{Activation, LabelingError};
use crate::resample::{VolumeSampler, resample_labels, same_grid};
use crate::volume::{LabelMap, Volume};

/// Probabilities that exist at once on the input's grid while labels are picked: 64 MiB.
pub(super) const BLOCK_VALUES: usize = 1 << 24;

/// Displacement in voxels across the grid that is dropped when probabilities are resampled: rounding of affines stored
/// in `f32` stays below it.
pub(super) const OFF_AXIS_TOLERANCE: f64 = 1e-4;

impl AppliedTransforms {
    /// Brings probabilities back to the input's grid: resampled trilinearly, padded with zeros where the volume was
    /// cropped, and reoriented.
    ///
    /// **Shapes**: `[K, X, Y, Z]` on the prepared grid → `[K, X, Y, Z]` on the input's.
    ///
    /// **Errors**: [`PreprocessError::PredictionShape`] for another shape than the prepared volume's.
    ///
    /// **Source**: MONAI 1.6.1 `Invertd(nearest_interp=False)`.
    pub fn invert_probabilities(
        &self,
        probabilities: Array4<f32>,
    ) -> Result<Volume, PreprocessError> {
        self.check_shape(probabilities.view())?;
        let prepared = Volume {
            data: probabilities,
            affine: self.prepared.affine,
        };
        self.undo_volume(prepared, 0)
    }

    /// Brings a label map back to the input's grid by nearest neighbor; where the volume was cropped, it is 0.
    ///
    /// **Errors**: [`PreprocessError::PredictionShape`] for another shape than the prepared volume's.
    ///
    /// **Source**: MONAI 1.6.1 `Invertd(nearest_interp=True)`.
    pub fn invert_labels(&self, labels: Array3<u16>) -> Result<LabelMap, PreprocessError> {
        let prepared = LabelMap {
            data: labels,
            affine: self.prepared.affine,
        };
        let (found, expected) = (prepared.geometry().shape, self.prepared.shape);
        if found != expected {
            return Err(PreprocessError::PredictionShape { found, expected });
        }
        self.undo_labels(prepared, self.steps.len(), 0)
    }

    /// The label of every voxel of the input's grid, as [`AppliedTransforms::invert_probabilities`] followed by
    /// [`Activation::labels`] would give it, without holding all probabilities on that grid.
    ///
    /// **Shapes**: `[K, X, Y, Z]` on the prepared grid → `[X, Y, Z]` on the input's; `values[k]` is the label of
    /// class `k`; what was cropped away is [`Activation::outside`].
    ///
    /// **Errors**: [`PreprocessError::PredictionShape`] for another shape than the prepared volume's, and
    /// [`PreprocessError::Labeling`].
    pub fn invert_to_labels(
        &self,
        probabilities: ArrayView4<'_, f32>,
        activation: Activation,
        values: &[u16],
    ) -> Result<LabelMap, PreprocessError> {
        self.check_shape(probabilities)?;
        let outside = activation.outside(values);
        // Only resampling mixes voxels, so the steps before the first resampling can be inverted on labels.
        let Some((index, from, to)) = self.first_resampling()? else {
            let data = activation.labels(probabilities, values)?;
            let labels = LabelMap {
                data,
                affine: self.prepared.affine,
            };
            return self.undo_labels(labels, self.steps.len(), outside);
        };
        let later = &self.steps[index + 1..];
        let resampled = if later.iter().all(|step| {
            matches!(
                step,
                AppliedStep::ResampleToMatch | AppliedStep::Normalize { .. }
            )
        }) {
            CowArray::from(probabilities)
        } else {
            let prepared = Volume {
                data: probabilities.to_owned(),
                affine: self.prepared.affine,
            };
            CowArray::from(self.undo_volume(prepared, index + 1)?.data)
        };
        let sampler = VolumeSampler::new(resampled.view(), &from.affine, &to, OFF_AXIS_TOLERANCE)
            .map_err(|e| at_step(index, e))?;
        let label = |block: ArrayView4<'_, f32>| activation.labels(block, values);
        let data = resample_to_labels(&sampler, resampled.dim().0, to.shape, label)?;
        self.undo_labels(
            LabelMap {
                data,
                affine: to.affine,
            },
            index,
            outside,
        )
    }

    /// The first step that resampled, with the grids after and before it.
    pub(super) fn first_resampling(
        &self,
    ) -> Result<Option<(usize, Geometry, Geometry)>, PreprocessError> {
        for (index, step) in self.steps.iter().enumerate() {
            if let AppliedStep::Resample { before, after } = step
                && !same_grid(after, before).map_err(|source| at_step(index, source))?
            {
                return Ok(Some((index, *after, *before)));
            }
        }
        Ok(None)
    }

    fn check_shape(&self, probabilities: ArrayView4<'_, f32>) -> Result<(), PreprocessError> {
        let (_, x, y, z) = probabilities.dim();
        let (found, expected) = ([x, y, z], self.prepared.shape);
        if found == expected {
            Ok(())
        } else {
            Err(PreprocessError::PredictionShape { found, expected })
        }
    }

    /// Undoes the steps from the last to `first`.
    fn undo_volume(&self, mut volume: Volume, first: usize) -> Result<Volume, PreprocessError> {
        for (index, step) in self.steps.iter().enumerate().skip(first).rev() {
            volume = undo_on_volume(volume, step).map_err(|source| at_step(index, source))?;
        }
        Ok(volume)
    }

    /// Undoes the steps before `end`, from the last to the first; `outside` fills what was cropped away.
    fn undo_labels(
        &self,
        mut labels: LabelMap,
        end: usize,
        outside: u16,
    ) -> Result<LabelMap, PreprocessError> {
        for (index, step) in self.steps.iter().enumerate().take(end).rev() {
            labels =
                undo_on_labels(labels, step, outside).map_err(|source| at_step(index, source))?;
        }
        Ok(labels)
    }
}

fn undo_on_volume(volume: Volume, step: &AppliedStep) -> Result<Volume, StepError> {
    // The affine before the step is stored, so that rounding does not accumulate.
    Ok(match step {
        AppliedStep::Orient { transform, before } => Volume {
            affine: before.affine,
            ..transform.inverse().apply_to_volume(volume)
        },
        AppliedStep::Crop { bounds, before } if *bounds == VoxelBox::whole(before.shape) => volume,
        AppliedStep::Crop { bounds, before } => {
            let padded = bounds.margins(before.shape)?.pad_volume(&volume, 0.0);
            Volume {
                affine: before.affine,
                ..padded
            }
        }
        AppliedStep::Resample { before, after } if same_grid(after, before)? => Volume {
            affine: before.affine,
            ..volume
        },
        AppliedStep::Resample { before, .. } => {
            let sampler = VolumeSampler::new(
                volume.data.view(),
                &volume.affine,
                before,
                OFF_AXIS_TOLERANCE,
            )?;
            Volume {
                data: sampler.slabs(0, before.shape[0]),
                affine: before.affine,
            }
        }
        AppliedStep::ResampleToMatch | AppliedStep::Normalize { .. } => volume,
    })
}

fn undo_on_labels(
    labels: LabelMap,
    step: &AppliedStep,
    outside: u16,
) -> Result<LabelMap, StepError> {
    Ok(match step {
        AppliedStep::Orient { transform, before } => LabelMap {
            affine: before.affine,
            ..transform.inverse().apply_to_labels(labels)
        },
        AppliedStep::Crop { bounds, before } if *bounds == VoxelBox::whole(before.shape) => labels,
        AppliedStep::Crop { bounds, before } => {
            let padded = bounds.margins(before.shape)?.pad_labels(&labels, outside);
            LabelMap {
                affine: before.affine,
                ..padded
            }
        }
        AppliedStep::Resample { before, after } if same_grid(after, before)? => LabelMap {
            affine: before.affine,
            ..labels
        },
        AppliedStep::Resample { before, .. } => resample_labels(&labels, before)?,
        AppliedStep::ResampleToMatch | AppliedStep::Normalize { .. } => labels,
    })
}

/// Resamples probabilities onto a grid and picks labels there, some slabs at a time.
fn resample_to_labels(
    sampler: &VolumeSampler<'_>,
    classes: usize,
    to: [usize; 3],
    label: impl Fn(ArrayView4<'_, f32>) -> Result<Array3<u16>, LabelingError>,
) -> Result<Array3<u16>, LabelingError> {
    let slab_values = classes.max(1) * to[1] * to[2];
    let slabs = (BLOCK_VALUES / slab_values.max(1)).max(1);
    let mut labels = Array3::zeros(to);
    for start in (0..to[0]).step_by(slabs) {
        let end = (start + slabs).min(to[0]);
        let block = label(sampler.slabs(start, end).view()).map_err(|error| match error {
            LabelingError::NotANumber {
                class,
                voxel: [x, y, z],
            } => LabelingError::NotANumber {
                class,
                voxel: [start + x, y, z],
            },
            error @ LabelingError::Table { .. } => error,
        })?;
        labels.slice_mut(s![start..end, .., ..]).assign(&block);
    }
    Ok(labels)
}

pub(super) fn at_step(index: usize, source: impl Into<StepError>) -> PreprocessError {
    PreprocessError::Step {
        index,
        source: source.into(),
    }
}
