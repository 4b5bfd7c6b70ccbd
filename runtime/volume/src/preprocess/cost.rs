//! Memory of preprocessing a case, computed from its headers alone.

use super::{PreprocessError, Step, StepError, check_steps, image_channels};
use crate::geometry::{Affine, Geometry};
use crate::orientation::{AxisTransform, Orientation};
use crate::resample::spaced_bound;

/// Bytes of a voxel of a channel.
const VOXEL_BYTES: u64 = size_of::<f32>() as u64;

/// Grids whose corners differ by at most this agree for certain, so that nothing is resampled.
const UNMOVED_MM: f64 = 1e-4;

/// Upper bounds of the volume and the memory of [`execute`](super::execute).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PreprocessCost {
    /// The largest grid that the prepared volume may have: nothing is cropped away.
    pub shape: [usize; 3],
    /// The most memory that is held at any time, the images included.
    pub bytes: u64,
}

/// Bounds the preparation of images with these grids and numbers of channels.
///
/// Figures saturate at the limits of their types.
///
/// **Errors**: those of [`execute`](super::execute) that can be known without voxels, except for grids that might become
/// small enough by cropping.
pub fn cost(
    images: &[(Geometry, usize)],
    steps: &[Step],
) -> Result<PreprocessCost, PreprocessError> {
    let found: Vec<usize> = images.iter().map(|(_, channels)| *channels).collect();
    let total = found.iter().sum();
    check_steps(steps, total)?;
    for &(Geometry { shape, affine }, channels) in images {
        if channels == 0 || shape.contains(&0) {
            return Err(PreprocessError::Empty { channels, shape });
        }
        affine.check()?;
    }
    let expected = image_channels(steps, total);
    let (Some((first, further)), true) = (images.split_first(), found == expected) else {
        return Err(PreprocessError::Images { found, expected });
    };
    let further = further.iter().fold(0, |sum: u64, (grid, channels)| {
        sum.saturating_add(bytes(grid, *channels))
    });
    let mut state = CostState {
        grid: first.0,
        channels: first.1,
        further,
        peak: 0,
    };
    state.take(0);
    for (index, step) in steps.iter().enumerate() {
        state
            .apply(step, total)
            .map_err(|source| PreprocessError::Step { index, source })?;
    }
    Ok(PreprocessCost {
        shape: state.grid.shape,
        bytes: state.peak,
    })
}

/// Memory held after some steps.
struct CostState {
    grid: Geometry,
    channels: usize,
    /// Bytes of images that are still to be matched.
    further: u64,
    peak: u64,
}

impl CostState {
    /// Counts bytes that are held besides the images.
    fn take(&mut self, bytes_besides: u64) {
        let held = bytes(&self.grid, self.channels).saturating_add(self.further);
        self.peak = self.peak.max(held.saturating_add(bytes_besides));
    }

    fn apply(&mut self, step: &Step, channels: usize) -> Result<(), StepError> {
        match step {
            Step::OrientRas => {
                let from = Orientation::of(&self.grid.affine)?;
                let transform = AxisTransform::between(from, Orientation::RAS);
                let after = transform.apply_to_geometry(&self.grid);
                if !transform.keeps_order() {
                    self.take(bytes(&after, self.channels));
                }
                self.grid = after;
            }
            Step::Resample { spacing, keep } => {
                let after = spaced_bound(&self.grid, *spacing, *keep)?;
                let before = Geometry {
                    affine: Affine::from_parts(self.grid.affine.linear(), [0.0; 3]),
                    ..self.grid
                };
                let moved_mm = before.distance_mm(&after);
                if !moved_mm.is_some_and(|mm| mm <= UNMOVED_MM) {
                    self.take(bytes(&after, self.channels));
                }
                self.grid = after;
            }
            Step::ResampleToMatch { .. } => {
                self.take(bytes(&self.grid, channels));
                (self.channels, self.further) = (channels, 0);
            }
            // In place.
            Step::CropForeground { .. } | Step::Normalize { .. } => {}
        }
        Ok(())
    }
}

/// Bytes of an array of these channels.
fn bytes(grid: &Geometry, channels: usize) -> u64 {
    let voxels = grid.shape.iter().map(|&n| n as u64);
    voxels
        .fold(channels as u64, u64::saturating_mul)
        .saturating_mul(VOXEL_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::GeometryError;
    use crate::preprocess::Normalization;

    const MB: u64 = 1_000_000;

    fn grid(shape: [usize; 3], spacing: [f64; 3]) -> Geometry {
        Geometry {
            shape,
            affine: Affine::from_spacing(spacing),
        }
    }

    fn crop_and_normalize(channels: usize) -> [Step; 2] {
        let crop = Step::CropForeground {
            threshold: 0.0,
            margin: 0,
        };
        let channels = vec![Normalization::ZScoreNonzero; channels];
        [crop, Step::Normalize { channels }]
    }

    #[test]
    fn what_stays_in_place_costs_nothing_and_what_moves_its_result() {
        // 100 × 50 × 20 voxels of two channels: 0.8 MB.
        let [x, y, z] = [100, 50, 20];
        let [crop, normalize] = crop_and_normalize(2);
        let steps = [Step::OrientRas, crop.clone(), normalize.clone()];
        let flipped = grid([x, y, z], [-1.0, -1.0, 2.0]);
        let expected = |shape, bytes| Ok(PreprocessCost { shape, bytes });
        let found = cost(&[(flipped, 2)], &steps);
        assert_eq!(found, expected([x, y, z], 8 * MB / 10));
        let turned = Geometry {
            affine: Affine::from_parts([[0., 0., 1.], [1., 0., 0.], [0., 1., 0.]], [0.0; 3]),
            ..flipped
        };
        let found = cost(&[(turned, 2)], &steps);
        assert_eq!(found, expected([z, x, y], 16 * MB / 10));
        // From 1, 1, 2 mm to 2 mm: 50.5 × 25.5 × 20 voxels, the halves rounded up. Then nothing is left to resample.
        let spacing = [2.0; 3];
        let resample = |keep| Step::Resample { spacing, keep };
        let steps = [crop, resample([1.0; 2]), resample([1.0; 2]), normalize];
        let bytes = 8 * MB / 10 + 51 * 26 * 20 * 2 * 4;
        let found = cost(&[(flipped, 2)], &steps);
        assert_eq!(found, expected([51, 26, 20], bytes));
        let found = cost(&[(flipped, 2)], &[resample([0.4, 1.0])]);
        assert_eq!(found, expected([x, y, z], 8 * MB / 10));
    }

    #[test]
    fn further_images_are_held_until_they_are_matched() {
        let first = (grid([100, 50, 20], [1.0; 3]), 1);
        let other = (grid([200, 100, 10], [1.0; 3]), 1);
        let steps = [
            Step::ResampleToMatch { first_channels: 1 },
            Step::Resample {
                spacing: [0.5, 1.0, 1.0],
                keep: [1.0; 2],
            },
        ];
        let found = cost(&[first, other], &steps).unwrap();
        assert_eq!(found.shape, [199, 50, 20]);
        let (once, matched) = (4 * MB / 10 + 8 * MB / 10, 8 * MB / 10);
        assert_eq!(
            found.bytes,
            (once + matched).max(matched + 199 * 50 * 20 * 2 * 4)
        );
    }

    #[test]
    fn absurd_grids_saturate_and_impossible_ones_are_refused() {
        let huge = grid([usize::MAX; 3], [1.0; 3]);
        let steps = [Step::Resample {
            spacing: [1e-6, 1.0, 1.0],
            keep: [1.0; 2],
        }];
        let found = cost(&[(huge, 3)], &steps).unwrap();
        assert_eq!((found.shape[0], found.bytes), (usize::MAX, u64::MAX));
        let empty = cost(&[(grid([3, 0, 3], [1.0; 3]), 1)], &[]);
        assert!(matches!(empty, Err(PreprocessError::Empty { .. })));
        let singular = cost(&[(grid([3; 3], [1.0, 0.0, 1.0]), 1)], &[]);
        assert!(matches!(
            singular,
            Err(PreprocessError::Geometry(GeometryError::Singular { .. }))
        ));
        let one = (grid([3; 3], [1.0; 3]), 1);
        for images in [vec![], vec![one, one]] {
            let found = cost(&images, &[]);
            assert!(
                matches!(found, Err(PreprocessError::Images { .. })),
                "{found:?}"
            );
        }
        let steps = [Step::Normalize { channels: vec![] }];
        let found = cost(&[one], &steps);
        assert!(matches!(found, Err(PreprocessError::Step { index: 0, .. })));
    }
}
