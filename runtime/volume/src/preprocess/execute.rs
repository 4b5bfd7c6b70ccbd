//! Runs the steps on a volume, and again on its labels.

use ndarray::{Array4, ArrayView2, s};
use rayon::prelude::*;

use super::{PreprocessError, Step, StepError, check_steps, image_channels};
use crate::crop::{VoxelBox, foreground_box};
use crate::geometry::{Geometry, GridDifference};
use crate::intensity::{AppliedNormalization, normalize};
use crate::orientation::{AxisTransform, Orientation, reorient_volume};
use crate::resample::{
    resample_into, resample_labels, resample_volume, same_grid, spaced_geometry,
};
use crate::volume::{LabelMap, Volume};

/// A step that was applied, with what is needed to repeat and to undo it.
#[derive(Debug, Clone, PartialEq)]
pub enum AppliedStep {
    /// The axes were permuted and flipped.
    Orient {
        /// Transform of the axes.
        transform: AxisTransform,
        before: Geometry,
    },
    /// A box was cropped; the whole grid where no voxel was foreground.
    Crop { bounds: VoxelBox, before: Geometry },
    /// The volume was resampled; where both grids agree, it was left unchanged.
    Resample { before: Geometry, after: Geometry },
    /// Secondary images were resampled onto the volume's grid and became channels of it.
    ResampleToMatch,
    /// The intensities were normalized.
    Normalize {
        /// Normalization of each channel.
        channels: Vec<AppliedNormalization>,
    },
}

/// The applied steps of preprocessing: repeats them on label maps of the same grid, and inverts them on predictions.
#[derive(Debug, Clone, PartialEq)]
pub struct AppliedTransforms {
    /// Grid of the first image before preprocessing.
    pub input: Geometry,
    /// Grid of the prepared volume.
    pub prepared: Geometry,
    /// Steps in the order in which they were applied.
    pub steps: Vec<AppliedStep>,
}

/// Preprocesses the images of a case, and records the applied steps.
///
/// **Memory**: besides the images, only steps that change the grid's size or the order of axes allocate, for their
/// result; [`cost`](super::cost) bounds it.
///
/// Predictions are restored to the grid of the first image. Where no voxel exceeds the threshold, cropping to the
/// foreground keeps the whole volume.
///
/// **Shapes**: images `[C, X, Y, Z]` as [`image_channels`] says → one volume with the channels of all.
///
/// **Errors**: [`PreprocessError`] for parameters that cannot be used, images that do not fit the steps, an empty
/// volume, an unusable affine, and intensities that are not finite.
///
/// **Source**: MONAI 1.6.1 `Orientation`, `CropForeground(allow_smaller=True)`, `Spacing`, `ResampleToMatch` and
/// `NormalizeIntensity`; without foreground, MONAI crops to nothing.
pub fn execute(
    images: Vec<Volume>,
    steps: &[Step],
) -> Result<(Volume, AppliedTransforms), PreprocessError> {
    let found: Vec<usize> = images.iter().map(Volume::channels).collect();
    check_steps(steps, found.iter().sum())?;
    let expected = image_channels(steps, found.iter().sum());
    let mut channel = 0;
    for image in &images {
        check_volume(image, channel)?;
        channel += image.channels();
    }
    let mut images = images.into_iter();
    let Some(mut volume) = images.next().filter(|_| found == expected) else {
        return Err(PreprocessError::Images { found, expected });
    };
    let mut secondary: Vec<Volume> = images.collect();
    let input = volume.geometry();
    let mut applied = Vec::with_capacity(steps.len());
    for (index, step) in steps.iter().enumerate() {
        let (after, step) = apply(volume, &mut secondary, step)
            .map_err(|source| PreprocessError::Step { index, source })?;
        volume = after;
        applied.push(step);
    }
    let prepared = volume.geometry();
    Ok((
        volume,
        AppliedTransforms {
            input,
            prepared,
            steps: applied,
        },
    ))
}

/// Applies a step to the volume; [`Step::ResampleToMatch`] takes the secondary images.
fn apply(
    mut volume: Volume,
    secondary: &mut Vec<Volume>,
    step: &Step,
) -> Result<(Volume, AppliedStep), StepError> {
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
                bounds.crop_volume(volume)?
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
        Step::ResampleToMatch { .. } => {
            let matched = match_images(volume, std::mem::take(secondary))?;
            Ok((matched, AppliedStep::ResampleToMatch))
        }
        Step::Normalize { channels } => {
            let channels = normalize(&mut volume.data, channels)?;
            Ok((volume, AppliedStep::Normalize { channels }))
        }
    }
}

/// Resamples secondary images onto the grid of the volume, one after the other, and appends their channels.
fn match_images(volume: Volume, secondary: Vec<Volume>) -> Result<Volume, StepError> {
    let to = volume.geometry();
    let own = volume.channels();
    let [x, y, z] = to.shape;
    let mut data = Array4::zeros((own + secondary.len(), x, y, z));
    data.slice_mut(s![..own, .., .., ..]).assign(&volume.data);
    drop(volume);
    for (mut channel, image) in data.outer_iter_mut().skip(own).zip(secondary) {
        resample_into(&image, &to, channel.as_slice_mut().unwrap_or_default())?;
    }
    Ok(Volume {
        data,
        affine: to.affine,
    })
}

/// Checks a volume that was read.
fn check_volume(volume: &Volume, first_channel: usize) -> Result<(), PreprocessError> {
    let (channels, shape) = (volume.channels(), volume.geometry().shape);
    if volume.data.is_empty() {
        return Err(PreprocessError::Empty { channels, shape });
    }
    volume.affine.check()?;
    for (channel, data) in volume.data.outer_iter().enumerate() {
        let slabs: Vec<_> = data.outer_iter().collect();
        let voxels = slabs.into_par_iter().map(not_finite).sum();
        if voxels > 0 {
            return Err(PreprocessError::NotFinite {
                channel: first_channel + channel,
                voxels,
            });
        }
    }
    Ok(())
}

/// Counts the voxels of a slab that are NaN or infinite.
fn not_finite(slab: ArrayView2<'_, f32>) -> usize {
    let rows = slab.outer_iter();
    rows.map(|row| match row.as_slice() {
        // Counted in 32 bits, which vectorizes: a chunk is shorter than that.
        Some(row) => row
            .chunks(1 << 16)
            .map(|row| row.iter().map(|x| u32::from(!x.is_finite())).sum::<u32>() as usize)
            .sum(),
        None => row.iter().filter(|x| !x.is_finite()).count(),
    })
    .sum()
}

impl AppliedTransforms {
    /// Preprocesses a label map on the input's grid: it is cropped like the image, and resampled by nearest neighbor.
    ///
    /// **Errors**: [`PreprocessError::LabelShape`] and [`PreprocessError::LabelPlace`] for a label map on another grid,
    /// by [`Geometry::check_same_grid`](crate::Geometry::check_same_grid); the image's affine is used.
    pub fn prepare_labels(&self, labels: &LabelMap) -> Result<LabelMap, PreprocessError> {
        labels
            .geometry()
            .check_same_grid(&self.input)
            .map_err(|difference| match difference {
                GridDifference::Shape { found, expected } => {
                    PreprocessError::LabelShape { found, expected }
                }
                GridDifference::Place { found_mm, limit_mm } => {
                    PreprocessError::LabelPlace { found_mm, limit_mm }
                }
            })?;
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
        AppliedStep::ResampleToMatch | AppliedStep::Normalize { .. } => labels,
    })
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

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
        let (volume, transforms) = execute(vec![blank((1, 4, 5, 6))], &[CROP]).unwrap();
        assert_eq!(volume.data.dim(), (1, 4, 5, 6));
        assert_eq!(transforms.prepared, transforms.input);
    }

    #[test]
    fn labels_are_cropped_where_the_image_was() {
        let mut volume = blank((1, 6, 6, 6));
        volume.data[[0, 3, 3, 3]] = 1.0;
        let labels = LabelMap {
            data: Array3::from_shape_fn((6, 6, 6), |(x, y, z)| (x * 36 + y * 6 + z) as u16),
            affine: volume.affine,
        };
        let (volume, transforms) = execute(vec![volume], &[CROP]).unwrap();
        let labels = transforms.prepare_labels(&labels).unwrap();
        assert_eq!(labels.geometry(), volume.geometry());
        assert_eq!(labels.data[[0, 0, 0]], 2 * 36 + 2 * 6 + 2);
    }

    #[test]
    fn normalized_intensities_are_cropped_where_any_channel_exceeds_the_threshold() {
        let mut volume = blank((2, 6, 6, 6));
        volume.data.fill(-1000.0);
        volume.data[[0, 1, 2, 3]] = 50.0;
        volume.data[[1, 3, 2, 4]] = 101.0;
        // Below its channel's range, and so not foreground.
        volume.data[[1, 5, 5, 5]] = 100.0;
        let steps = [
            Step::Normalize {
                channels: vec![
                    Normalization::ClippedRange {
                        low: -100.0,
                        high: 100.0,
                    },
                    Normalization::ClippedRange {
                        low: 100.0,
                        high: 102.0,
                    },
                ],
            },
            Step::CropForeground {
                threshold: 0.0,
                margin: 0,
            },
            Step::OrientRas,
            Step::Resample {
                spacing: [1.0; 3],
                keep: [1.0; 2],
            },
        ];
        let (prepared, transforms) = execute(vec![volume], &steps).unwrap();
        // Planes of 2 mm, of which two were kept, at 1 mm.
        assert_eq!(prepared.data.dim(), (2, 3, 1, 3));
        assert_eq!(prepared.data[[0, 0, 0, 0]], 0.75);
        assert_eq!(prepared.data[[1, 2, 0, 2]], 0.5);
        assert_eq!(prepared.data[[1, 2, 0, 1]], 0.25);
        let outside = transforms
            .invert_to_labels(
                Array4::from_elem((2, 3, 1, 3), 0.5).view(),
                crate::postprocess::Activation::Softmax,
                &[7, 9],
            )
            .unwrap();
        assert_eq!(outside.data.dim(), (6, 6, 6));
    }

    #[test]
    fn labels_on_another_grid_are_refused() {
        let (_, transforms) = execute(vec![blank((1, 4, 5, 6))], &[]).unwrap();
        let labels = |shape, affine| LabelMap {
            data: Array3::zeros(shape),
            affine,
        };
        let other_shape = labels((4, 5, 7), transforms.input.affine);
        assert!(matches!(
            transforms.prepare_labels(&other_shape),
            Err(PreprocessError::LabelShape { .. })
        ));
        let flipped = labels((4, 5, 6), Affine::from_spacing([-1.0, 1.0, 2.0]));
        assert!(matches!(
            transforms.prepare_labels(&flipped),
            Err(PreprocessError::LabelPlace { .. })
        ));
        let nearly = labels((4, 5, 6), Affine::from_spacing([1.01, 1.0, 2.0]));
        assert_eq!(
            transforms.prepare_labels(&nearly).unwrap().affine,
            transforms.input.affine
        );
    }

    #[test]
    fn unusable_volumes_are_refused() {
        let mut volume = blank((2, 2, 2, 2));
        volume.data[[1, 0, 1, 0]] = f32::INFINITY;
        let error = execute(vec![volume], &[]).unwrap_err();
        assert_eq!(
            error,
            PreprocessError::NotFinite {
                channel: 1,
                voxels: 1
            }
        );
        let error = execute(vec![blank((1, 2, 0, 2))], &[]).unwrap_err();
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
            execute(vec![volume], &[]),
            Err(PreprocessError::Geometry(_))
        ));
    }

    #[test]
    fn further_images_come_onto_the_first_grid() {
        let first = blank((2, 3, 4, 5));
        let ramp = Volume {
            data: Array4::from_shape_fn((1, 9, 9, 9), |(_, x, _, z)| (10 * x + z) as f32),
            affine: Affine::from_parts(
                [[0.5, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
                [-1.0, 0.0, 1.0],
            ),
        };
        let steps = [Step::ResampleToMatch { first_channels: 2 }];
        let (volume, transforms) = execute(vec![first.clone(), ramp.clone()], &steps).unwrap();
        assert_eq!(volume.data.dim(), (3, 3, 4, 5));
        // World x = 2 mm is index 6, world z = 4 mm index 3; z = 0 mm lies below the image, whose border voxels are
        // repeated.
        assert_eq!(volume.data[[2, 2, 1, 2]], 63.0);
        assert_eq!(volume.data[[2, 0, 0, 0]], 20.0);
        assert_eq!(transforms.prepared, first.geometry());
        let labels = LabelMap {
            data: Array3::from_elem((3, 4, 5), 1),
            affine: first.affine,
        };
        assert_eq!(transforms.prepare_labels(&labels).unwrap(), labels);
        assert_eq!(
            execute(vec![ramp, first], &steps).unwrap_err(),
            PreprocessError::Images {
                found: vec![1, 2],
                expected: vec![2, 1]
            }
        );
    }

    #[test]
    fn unusable_steps_are_named() {
        let steps = [
            CROP,
            Step::Normalize {
                channels: vec![Normalization::Identity],
            },
        ];
        let error = execute(vec![blank((2, 2, 2, 2))], &steps).unwrap_err();
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
            execute(vec![blank((1, 2, 2, 2))], &steps),
            Err(PreprocessError::Step { index: 0, .. })
        ));
    }
}
