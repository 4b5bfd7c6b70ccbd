//! Runs the steps on a volume, and again on its labels.

use rayon::prelude::*;

use super::{PreprocessError, Step, StepError, check_steps};
use crate::crop::{VoxelBox, foreground_box};
use crate::geometry::Geometry;
use crate::intensity::{AppliedNormalization, normalize};
use crate::orientation::{AxisTransform, Orientation, reorient_volume};
use crate::resample::{resample_labels, resample_volume, same_grid, spaced_geometry};
use crate::volume::{LabelMap, Volume};

/// A step that was applied, with what is needed to repeat and to undo it.
#[derive(Debug, Clone, PartialEq)]
pub enum AppliedStep {
    /// The axes were permuted and flipped.
    Orient {
        /// What was done to the axes.
        transform: AxisTransform,
        /// The grid before.
        before: Geometry,
    },
    /// A box was cut out; the whole grid where no voxel was foreground.
    Crop {
        /// What was kept.
        bounds: VoxelBox,
        /// The grid before.
        before: Geometry,
    },
    /// The volume was resampled; where both grids agree, it was left as it was.
    Resample {
        /// The grid before.
        before: Geometry,
        /// The grid after.
        after: Geometry,
    },
    /// The intensities were normalized.
    Normalize {
        /// What was done to each channel.
        channels: Vec<AppliedNormalization>,
    },
}

/// What preprocessing did to a volume.
///
/// It prepares label maps on the same grid in the same way, and brings predictions back to the input's grid.
#[derive(Debug, Clone, PartialEq)]
pub struct Trace {
    /// Grid of the volume as it came in.
    pub input: Geometry,
    /// Grid of the prepared volume.
    pub prepared: Geometry,
    /// Steps in the order in which they were applied.
    pub steps: Vec<AppliedStep>,
}

/// Prepares a volume for the network, and records what was done.
///
/// Where no voxel exceeds the threshold, cropping to the foreground keeps the whole volume.
///
/// **Errors**: [`PreprocessError`] for parameters that cannot be used, an empty volume, an unusable affine, and
/// intensities that are not finite.
///
/// **Source**: MONAI 1.6.1 `Orientation`, `CropForeground(allow_smaller=True)`, `Spacing` and `NormalizeIntensity`;
/// without foreground, MONAI crops to nothing.
pub fn execute(mut volume: Volume, steps: &[Step]) -> Result<(Volume, Trace), PreprocessError> {
    check_steps(steps, volume.channels())?;
    check_volume(&volume)?;
    let input = volume.geometry();
    let mut applied = Vec::with_capacity(steps.len());
    for (index, step) in steps.iter().enumerate() {
        let (after, step) =
            apply(volume, step).map_err(|source| PreprocessError::Step { index, source })?;
        volume = after;
        applied.push(step);
    }
    let prepared = volume.geometry();
    Ok((
        volume,
        Trace {
            input,
            prepared,
            steps: applied,
        },
    ))
}

fn apply(mut volume: Volume, step: &Step) -> Result<(Volume, AppliedStep), StepError> {
    let before = volume.geometry();
    match step {
        Step::OrientRas => {
            let (volume, transform) = reorient_volume(volume, Orientation::RAS)?;
            Ok((volume, AppliedStep::Orient { transform, before }))
        }
        Step::CropForeground { threshold, margin } => {
            let whole = VoxelBox::whole(before.shape);
            let bounds = foreground_box(&volume, *threshold, *margin).unwrap_or(whole);
            let volume = if bounds == whole {
                volume
            } else {
                bounds.crop_volume(&volume)?
            };
            Ok((volume, AppliedStep::Crop { bounds, before }))
        }
        Step::Resample { spacing, keep } => {
            let after = spaced_geometry(&before, *spacing, *keep)?;
            let volume = if same_grid(&before, &after)? {
                volume
            } else {
                resample_volume(&volume, &after)?
            };
            Ok((volume, AppliedStep::Resample { before, after }))
        }
        Step::Normalize { channels } => {
            let channels = normalize(&mut volume.data, channels)?;
            Ok((volume, AppliedStep::Normalize { channels }))
        }
    }
}

/// Checks what arrives from outside.
fn check_volume(volume: &Volume) -> Result<(), PreprocessError> {
    let (channels, shape) = (volume.channels(), volume.geometry().shape);
    if volume.data.is_empty() {
        return Err(PreprocessError::Empty { channels, shape });
    }
    volume.affine.check()?;
    for (channel, data) in volume.data.outer_iter().enumerate() {
        let slabs: Vec<_> = data.outer_iter().collect();
        let voxels = slabs
            .into_par_iter()
            .map(|slab| slab.iter().filter(|x| !x.is_finite()).count())
            .sum();
        if voxels > 0 {
            return Err(PreprocessError::NotFinite { channel, voxels });
        }
    }
    Ok(())
}

impl Trace {
    /// Prepares a label map that lies on the input's grid: crops where the image was cropped, and resamples by
    /// nearest neighbor.
    ///
    /// **Errors**: [`PreprocessError::LabelShape`] and [`PreprocessError::LabelPlace`] for a label map on another
    /// grid; distances up to half the smallest spacing are let pass, and the image's affine is taken.
    pub fn prepare_labels(&self, labels: &LabelMap) -> Result<LabelMap, PreprocessError> {
        let found = labels.geometry();
        let Some(found_mm) = found.distance_mm(&self.input) else {
            return Err(PreprocessError::LabelShape {
                found: found.shape,
                expected: self.input.shape,
            });
        };
        let limit_mm = self
            .input
            .affine
            .spacing()
            .into_iter()
            .fold(f64::INFINITY, f64::min)
            / 2.0;
        if found_mm.is_nan() || found_mm > limit_mm {
            return Err(PreprocessError::LabelPlace { found_mm, limit_mm });
        }
        let mut labels = LabelMap {
            data: labels.data.clone(),
            affine: self.input.affine,
        };
        for (index, step) in self.steps.iter().enumerate() {
            labels =
                repeat(labels, step).map_err(|source| PreprocessError::Step { index, source })?;
        }
        Ok(labels)
    }
}

fn repeat(labels: LabelMap, step: &AppliedStep) -> Result<LabelMap, StepError> {
    Ok(match step {
        AppliedStep::Orient { transform, .. } => transform.apply_to_labels(labels),
        AppliedStep::Crop { bounds, before } if *bounds == VoxelBox::whole(before.shape) => labels,
        AppliedStep::Crop { bounds, .. } => bounds.crop_labels(&labels)?,
        AppliedStep::Resample { before, after } if same_grid(before, after)? => labels,
        AppliedStep::Resample { after, .. } => resample_labels(&labels, after)?,
        AppliedStep::Normalize { .. } => labels,
    })
}

#[cfg(test)]
mod tests {
    use ndarray::{Array3, Array4};

    use super::*;
    use crate::geometry::Affine;
    use crate::preprocess::Normalization;

    fn blank(shape: (usize, usize, usize, usize)) -> Volume {
        Volume {
            data: Array4::zeros(shape),
            affine: Affine::from_spacing([1.0, 1.0, 2.0]),
        }
    }

    const CROP: Step = Step::CropForeground {
        threshold: 0.0,
        margin: 1,
    };

    #[test]
    fn a_volume_without_foreground_is_kept_whole() {
        let (volume, trace) = execute(blank((1, 4, 5, 6)), &[CROP]).unwrap();
        assert_eq!(volume.data.dim(), (1, 4, 5, 6));
        assert_eq!(trace.prepared, trace.input);
    }

    #[test]
    fn labels_are_cropped_where_the_image_was() {
        let mut volume = blank((1, 6, 6, 6));
        volume.data[[0, 3, 3, 3]] = 1.0;
        let labels = LabelMap {
            data: Array3::from_shape_fn((6, 6, 6), |(x, y, z)| (x * 36 + y * 6 + z) as u16),
            affine: volume.affine,
        };
        let (volume, trace) = execute(volume, &[CROP]).unwrap();
        let labels = trace.prepare_labels(&labels).unwrap();
        assert_eq!(labels.geometry(), volume.geometry());
        assert_eq!(labels.data[[0, 0, 0]], 2 * 36 + 2 * 6 + 2);
    }

    #[test]
    fn labels_on_another_grid_are_refused() {
        let (_, trace) = execute(blank((1, 4, 5, 6)), &[]).unwrap();
        let labels = |shape, affine| LabelMap {
            data: Array3::zeros(shape),
            affine,
        };
        let other_shape = labels((4, 5, 7), trace.input.affine);
        assert!(matches!(
            trace.prepare_labels(&other_shape),
            Err(PreprocessError::LabelShape { .. })
        ));
        let flipped = labels((4, 5, 6), Affine::from_spacing([-1.0, 1.0, 2.0]));
        assert!(matches!(
            trace.prepare_labels(&flipped),
            Err(PreprocessError::LabelPlace { .. })
        ));
        let nearly = labels((4, 5, 6), Affine::from_spacing([1.01, 1.0, 2.0]));
        assert_eq!(
            trace.prepare_labels(&nearly).unwrap().affine,
            trace.input.affine
        );
    }

    #[test]
    fn unusable_volumes_are_refused() {
        let mut volume = blank((2, 2, 2, 2));
        volume.data[[1, 0, 1, 0]] = f32::INFINITY;
        let error = execute(volume, &[]).unwrap_err();
        assert_eq!(
            error,
            PreprocessError::NotFinite {
                channel: 1,
                voxels: 1
            }
        );
        let error = execute(blank((1, 2, 0, 2)), &[]).unwrap_err();
        assert_eq!(
            error,
            PreprocessError::Empty {
                channels: 1,
                shape: [2, 0, 2]
            }
        );
        let volume = Volume {
            affine: Affine::from_spacing([0.0, 1.0, 1.0]),
            ..blank((1, 2, 2, 2))
        };
        assert!(matches!(
            execute(volume, &[]),
            Err(PreprocessError::Geometry(_))
        ));
    }

    #[test]
    fn unusable_steps_are_named() {
        let steps = [
            CROP,
            Step::Normalize {
                channels: vec![Normalization::Identity],
            },
        ];
        let error = execute(blank((2, 2, 2, 2)), &steps).unwrap_err();
        assert_eq!(error.to_string(), "preprocessing step 1 fails");
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(
            source,
            "normalization is given for 1 channels, found 2 in the volume"
        );
        let steps = [Step::Resample {
            spacing: [1.0, -1.0, 1.0],
            keep: [1.0, 1.0],
        }];
        assert!(matches!(
            execute(blank((1, 2, 2, 2)), &steps),
            Err(PreprocessError::Step { index: 0, .. })
        ));
    }
}
