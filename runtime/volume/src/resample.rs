//! Resampling onto a spacing, or onto another grid: trilinear for intensities, nearest for labels.
//!
//! Samples beyond the border take the nearest border voxel. Work runs in parallel over slabs of the output; besides
//! the output, each thread holds one slab of the input.

use ndarray::{Array3, Array4, ArrayView4};
use rayon::prelude::*;

use crate::geometry::{Affine, Geometry};
use crate::volume::{LabelMap, Volume};

mod coordinates;
mod error;
mod grid;
mod nearest;
mod plane;
mod separable;
mod trilinear;

pub use error::{MAX_VOXELS, ResampleError};
pub(crate) use grid::{check_target, spaced_bound};
pub use grid::{same_grid, spaced_geometry};
pub(crate) use plane::{PlaneSampler, RowScratch};
pub(crate) use trilinear::SlabScratch;

use coordinates::Coordinates;
use nearest::Nearest;
use trilinear::Trilinear;

/// Displacement across the grid that is dropped when images are resampled: none. Normalization distinguishes zeros from
/// voxels that received 1e-16 of a neighbor, as the reference does.
const EXACT: f64 = 0.0;

/// Resamples every channel onto the grid `to` by trilinear interpolation.
///
/// Where both grids have one shape and agree within 1e-3 (mm, or voxels of the relative map), the volume is returned
/// as it is, with its own affine.
///
/// **Definition**: output voxel `i` is the input at `A_in⁻¹ A_out i`, clamped to the grid.
///
/// **Errors**: [`ResampleError`] for unusable affines, empty and overlarge grids.
///
/// **Source**: MONAI 1.6.1 `SpatialResample(mode="bilinear", padding_mode="border", align_corners=False)`.
pub fn resample_volume(volume: &Volume, to: &Geometry) -> Result<Volume, ResampleError> {
    let from = volume.geometry();
    if same_grid(&from, to)? {
        return Ok(volume.clone());
    }
    let sampler = VolumeSampler::new(volume.data.view(), &from.affine, to, EXACT)?;
    Ok(Volume {
        data: sampler.slabs(0, to.shape[0]),
        affine: to.affine,
    })
}

/// As [`resample_volume`], but into an array of the output's size, `[C, X, Y, Z]`, also where the grids agree.
pub(crate) fn resample_into(
    volume: &Volume,
    to: &Geometry,
    output: &mut [f32],
) -> Result<(), ResampleError> {
    if same_grid(&volume.geometry(), to)? {
        for (output, value) in output.iter_mut().zip(&volume.data) {
            *output = *value;
        }
        return Ok(());
    }
    let sampler = VolumeSampler::new(volume.data.view(), &volume.affine, to, EXACT)?;
    sampler.fill(0, to.shape[0], output);
    Ok(())
}

/// Resamples labels onto the grid `to`, taking the nearest voxel; halves round to the even index.
///
/// Grids that agree return the labels as they are, see [`resample_volume`].
///
/// **Errors**: [`ResampleError`] for unusable affines, empty and overlarge grids.
///
/// **Source**: MONAI 1.6.1 `SpatialResample(mode="nearest", padding_mode="border", align_corners=False)`; where rounded
/// coordinates decide between two neighbors, the result follows `torch` 2's `affine_grid`.
pub fn resample_labels(labels: &LabelMap, to: &Geometry) -> Result<LabelMap, ResampleError> {
    let from = labels.geometry();
    if same_grid(&from, to)? {
        return Ok(labels.clone());
    }
    let sampler = Nearest::new(Coordinates::new(&from, to)?);
    let source = labels.data.as_standard_layout();
    let source = source.as_slice().unwrap_or_default();
    let mut data = Array3::zeros(to.shape);
    for_each_slab(&mut data, |x, slab| sampler.slab(source, x, slab));
    Ok(LabelMap {
        data,
        affine: to.affine,
    })
}

/// Trilinear resampling of a volume, some slabs at a time.
pub(crate) struct VolumeSampler<'a> {
    source: ndarray::CowArray<'a, f32, ndarray::Ix4>,
    sampler: Trilinear,
    shape: [usize; 3],
}

impl<'a> VolumeSampler<'a> {
    /// Prepares resampling of `[C, X, Y, Z]` data with this affine onto a grid.
    ///
    /// Axes are interpolated one after the other, which is several times faster, where the others displace a voxel
    /// by at most `tolerance` voxels.
    pub(crate) fn new(
        data: ArrayView4<'a, f32>,
        affine: &Affine,
        to: &Geometry,
        tolerance: f64,
    ) -> Result<Self, ResampleError> {
        let (_, x, y, z) = data.dim();
        let coordinates = Coordinates::new(
            &Geometry {
                shape: [x, y, z],
                affine: *affine,
            },
            to,
        )?;
        let source = match data.is_standard_layout() {
            true => data.into(),
            false => data.as_standard_layout().into_owned().into(),
        };
        Ok(Self {
            source,
            sampler: Trilinear::new(coordinates, tolerance),
            shape: to.shape,
        })
    }

    /// Output slabs `start..end` along the first axis, `[C, end - start, Y, Z]`.
    pub(crate) fn slabs(&self, start: usize, end: usize) -> Array4<f32> {
        let (channels, ..) = self.source.dim();
        let mut output = Array4::zeros((channels, end - start, self.shape[1], self.shape[2]));
        self.fill(start, end, output.as_slice_mut().unwrap_or_default());
        output
    }

    /// Writes these slabs to an array of their size.
    fn fill(&self, start: usize, end: usize, output: &mut [f32]) {
        let source = self.source.as_slice().unwrap_or_default();
        let per_channel = source.len() / self.source.dim().0.max(1);
        let per_slab = (self.shape[1] * self.shape[2]).max(1);
        output.par_chunks_mut(per_slab).enumerate().for_each_init(
            SlabScratch::default,
            |scratch, (index, slab)| {
                let (channel, x) = (index / (end - start), start + index % (end - start));
                let channel = &source[channel * per_channel..(channel + 1) * per_channel];
                self.sampler.slab(channel, x, slab, scratch);
            },
        );
    }
}

/// Calls `fill(x, slab)` for every slab `[Y, Z]` in parallel.
fn for_each_slab<T: Send>(data: &mut Array3<T>, fill: impl Fn(usize, &mut [T]) + Sync) {
    let (_, y, z) = data.dim();
    if let Some(data) = data.as_slice_mut() {
        data.par_chunks_mut((y * z).max(1))
            .enumerate()
            .for_each(|(x, slab)| fill(x, slab));
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array;

    use super::*;

    /// A ramp 0, 1, 2, ... along the first axis with 1 mm voxels.
    fn ramp(n: usize) -> Volume {
        let data = Array::from_shape_fn((1, n, 2, 3), |(_, x, _, _)| x as f32);
        Volume {
            data,
            affine: Affine::IDENTITY,
        }
    }

    fn along_x(volume: &Volume) -> Vec<f32> {
        volume.data.slice(ndarray::s![0, .., 1, 2]).to_vec()
    }

    fn resampled(spacing: f64) -> (Vec<f32>, Vec<u16>) {
        let volume = ramp(5);
        let to = spaced_geometry(&volume.geometry(), [spacing, 1.0, 1.0], [1.0, 1.0]).unwrap();
        let labels = LabelMap {
            data: volume
                .data
                .slice(ndarray::s![0, .., .., ..])
                .mapv(|v| v as u16),
            affine: volume.affine,
        };
        let nearest = resample_labels(&labels, &to).unwrap();
        (
            along_x(&resample_volume(&volume, &to).unwrap()),
            nearest.data.slice(ndarray::s![.., 0, 0]).to_vec(),
        )
    }

    #[test]
    fn ramps_keep_their_slope_and_stop_at_the_border() {
        for (spacing, expected, nearest) in [
            (
                0.5,
                vec![0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0],
                vec![0, 0, 1, 2, 2, 2, 3, 4, 4],
            ),
            (
                0.7,
                vec![0.0, 0.7, 1.4, 2.1, 2.8, 3.5, 4.0],
                vec![0, 1, 1, 2, 3, 3, 4],
            ),
            (1.6, vec![0.0, 1.6, 3.2, 4.0], vec![0, 2, 3, 4]),
            (2.0, vec![0.0, 2.0, 4.0], vec![0, 2, 4]),
        ] {
            let (values, labels) = resampled(spacing);
            assert_eq!(values.len(), expected.len());
            assert!(
                values
                    .iter()
                    .zip(&expected)
                    .all(|(a, b): (&f32, &f32)| (a - b).abs() < 1e-5),
                "{values:?}"
            );
            assert_eq!(labels, nearest, "spacing {spacing}");
        }
    }

    #[test]
    fn a_grid_of_other_axis_order_takes_the_general_path() {
        let data = Array::from_shape_fn((2, 3, 4, 5), |(c, x, y, z)| {
            (1000 * c + 100 * x + 10 * y + z) as f32
        });
        let volume = Volume {
            data,
            affine: Affine::IDENTITY,
        };
        // Axes of the target: z backward, x, y.
        let affine = Affine::from_parts([[0., 1., 0.], [0., 0., 1.], [-1., 0., 0.]], [0., 0., 4.]);
        let to = Geometry {
            shape: [5, 3, 4],
            affine,
        };
        let found = resample_volume(&volume, &to).unwrap();
        for ((c, i, j, k), &value) in found.data.indexed_iter() {
            assert!((value - volume.data[[c, j, k, 4 - i]]).abs() < 1e-3);
        }
        let labels = LabelMap {
            data: volume
                .data
                .index_axis(ndarray::Axis(0), 0)
                .mapv(|v| v as u16),
            affine: volume.affine,
        };
        let found = resample_labels(&labels, &to).unwrap();
        for ((i, j, k), &value) in found.data.indexed_iter() {
            assert_eq!(value, labels.data[[j, k, 4 - i]]);
        }
    }

    #[test]
    fn the_general_path_agrees_with_the_separable_one() {
        let data = Array::from_shape_fn((1, 6, 7, 8), |(_, x, y, z)| {
            ((x * 31 + y * 17 + z * 7) % 13) as f32
        });
        let volume = Volume {
            data,
            affine: Affine::IDENTITY,
        };
        let straight = Affine::from_parts(
            [[0.7, 0., 0.], [0., 1.3, 0.], [0., 0., 0.9]],
            [0.2, -0.3, 0.1],
        );
        let mut tilted = straight;
        tilted.0[0][1] = 1e-4;
        let shape = [8, 6, 8];
        let a = resample_volume(
            &volume,
            &Geometry {
                shape,
                affine: straight,
            },
        )
        .unwrap();
        let b = resample_volume(
            &volume,
            &Geometry {
                shape,
                affine: tilted,
            },
        )
        .unwrap();
        let differences = (&a.data - &b.data).mapv(f32::abs);
        assert!(differences.iter().any(|&difference| difference > 0.0));
        assert!(
            differences.iter().all(|&difference| difference < 1e-2),
            "{differences}"
        );
    }

    #[test]
    fn absurd_grids_are_refused_before_allocation() {
        let volume = ramp(5);
        let to = Geometry {
            shape: [usize::MAX, 2, 2],
            affine: Affine::IDENTITY,
        };
        assert!(matches!(
            resample_volume(&volume, &to),
            Err(ResampleError::TooLarge { .. })
        ));
        let to = Geometry {
            shape: [0, 2, 2],
            affine: Affine::IDENTITY,
        };
        assert!(matches!(
            resample_volume(&volume, &to),
            Err(ResampleError::Empty { .. })
        ));
        let to = Geometry {
            shape: [2, 2, 2],
            affine: Affine::from_spacing([f64::NAN, 1.0, 1.0]),
        };
        assert!(matches!(
            resample_volume(&volume, &to),
            Err(ResampleError::Geometry(_))
        ));
    }
}
