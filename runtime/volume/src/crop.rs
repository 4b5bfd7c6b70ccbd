//! Boxes of voxels: finding the foreground, cropping, and padding as its inverse.

use ndarray::{Array3, Array4, ArrayView3, Axis, s};
use rayon::prelude::*;

use crate::geometry::Geometry;
use crate::volume::{LabelMap, Volume};

/// Why a volume cannot be cropped to a box.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CropError {
    /// The box is empty or reaches beyond the grid.
    #[error(
        "box from {start:?} to {end:?} does not fit a grid of shape {shape:?}, expected start < end <= shape"
    )]
    OutOfBounds {
        /// First voxel.
        start: [usize; 3],
        /// One past the last voxel.
        end: [usize; 3],
        /// Shape of the grid.
        shape: [usize; 3],
    },
}

/// A box of voxels, `start <= index < end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VoxelBox {
    /// First voxel.
    pub start: [usize; 3],
    /// One past the last voxel.
    pub end: [usize; 3],
}

impl VoxelBox {
    /// The box that holds a whole grid.
    pub fn whole(shape: [usize; 3]) -> Self {
        Self {
            start: [0; 3],
            end: shape,
        }
    }

    /// Voxels along each axis.
    pub fn shape(&self) -> [usize; 3] {
        std::array::from_fn(|axis| self.end[axis].saturating_sub(self.start[axis]))
    }

    /// The margins that pad the cropped box back to a grid of this shape.
    ///
    /// **Errors**: [`CropError::OutOfBounds`] where the box is empty or does not lie in the grid.
    pub fn margins(&self, shape: [usize; 3]) -> Result<Margins, CropError> {
        let fits =
            (0..3).all(|axis| self.start[axis] < self.end[axis] && self.end[axis] <= shape[axis]);
        if !fits {
            return Err(CropError::OutOfBounds {
                start: self.start,
                end: self.end,
                shape,
            });
        }
        let after = std::array::from_fn(|axis| shape[axis] - self.end[axis]);
        Ok(Margins {
            before: self.start,
            after,
        })
    }

    /// Cuts this box out of a volume, within the memory that the volume holds.
    ///
    /// **Errors**: [`CropError::OutOfBounds`] where the box is empty or does not lie in the volume.
    pub fn crop_volume(&self, volume: Volume) -> Result<Volume, CropError> {
        let from = volume.geometry();
        self.margins(from.shape)?;
        let (channels, [x, y, z]) = (volume.channels(), self.shape());
        let data = if volume.data.is_standard_layout() {
            volume.data
        } else {
            volume.data.as_standard_layout().into_owned()
        };
        let (mut values, first) = data.into_raw_vec_and_offset();
        let (first, [_, ny, nz]) = (first.unwrap_or(0), from.shape);
        let mut kept = 0;
        // Rows move toward the front and never overwrite rows that are still to be moved.
        for channel in 0..channels {
            for slab in self.start[0]..self.end[0] {
                for row in self.start[1]..self.end[1] {
                    let row = ((channel * from.shape[0] + slab) * ny + row) * nz;
                    let at = first + row + self.start[2];
                    values.copy_within(at..at + z, kept);
                    kept += z;
                }
            }
        }
        values.truncate(kept);
        values.shrink_to_fit();
        Ok(Volume {
            // The vector holds exactly the values that were kept.
            data: Array4::from_shape_vec((channels, x, y, z), values).unwrap_or_default(),
            affine: from.part(self.start, self.shape()).affine,
        })
    }

    /// Cuts this box out of a label map.
    ///
    /// **Errors**: [`CropError::OutOfBounds`] where the box is empty or does not lie in the label map.
    pub fn crop_labels(&self, labels: &LabelMap) -> Result<LabelMap, CropError> {
        let from = labels.geometry();
        self.margins(from.shape)?;
        let mut data = Array3::zeros(self.shape());
        if let Some(output) = data.as_slice_mut() {
            self.fill(labels.data.view(), output);
        }
        Ok(LabelMap {
            data,
            affine: from.part(self.start, self.shape()).affine,
        })
    }

    /// Copies the box out of `input`, slabs in parallel.
    fn fill<T: Copy + Send + Sync>(&self, input: ArrayView3<'_, T>, output: &mut [T]) {
        let [_, ny, nz] = self.shape();
        let ([x, y, z], end) = (self.start, self.end);
        output
            .par_chunks_mut(ny * nz)
            .enumerate()
            .for_each(|(slab, output)| {
                let plane = input.slice(s![x + slab, y..end[1], z..end[2]]);
                for (row, output) in plane.outer_iter().zip(output.chunks_exact_mut(nz)) {
                    for (value, output) in row.iter().zip(output) {
                        *output = *value;
                    }
                }
            });
    }
}

/// Voxels added before and after each axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Margins {
    /// Voxels before the first, per axis.
    pub before: [usize; 3],
    /// Voxels after the last, per axis.
    pub after: [usize; 3],
}

impl Margins {
    /// The margins that make a shape at least `least`, equal on both sides; an odd voxel comes after.
    ///
    /// **Source**: MONAI 1.6.1 `SpatialPad(method="symmetric")`.
    ///
    /// **Examples**
    ///
    /// ```
    /// # use vesal_volume::crop::Margins;
    /// let margins = Margins::to_at_least([5, 8, 2], [8, 8, 4]);
    /// assert_eq!((margins.before, margins.after), ([1, 0, 1], [2, 0, 1]));
    /// ```
    pub fn to_at_least(shape: [usize; 3], least: [usize; 3]) -> Self {
        let total: [usize; 3] = std::array::from_fn(|axis| least[axis].saturating_sub(shape[axis]));
        let before = total.map(|n| n / 2);
        Self {
            before,
            after: std::array::from_fn(|axis| total[axis] - before[axis]),
        }
    }

    /// Box of the unpadded grid in the padded one: cropping to this box undoes the padding.
    pub fn inner(&self, shape: [usize; 3]) -> VoxelBox {
        VoxelBox {
            start: self.before,
            end: std::array::from_fn(|axis| self.before[axis] + shape[axis]),
        }
    }

    /// The padded grid; the voxels keep their places in the world.
    pub fn apply_to_geometry(&self, from: &Geometry) -> Geometry {
        Geometry {
            shape: std::array::from_fn(|axis| {
                self.before[axis] + from.shape[axis] + self.after[axis]
            }),
            affine: from.affine.starting_at(self.before.map(|n| -(n as f64))),
        }
    }

    /// Surrounds every channel with `value`.
    pub fn pad_volume(&self, volume: &Volume, value: f32) -> Volume {
        let from = volume.geometry();
        let to = self.apply_to_geometry(&from);
        let [x, y, z] = to.shape;
        let mut data = Array4::from_elem((volume.channels(), x, y, z), value);
        let VoxelBox { start, end } = self.inner(from.shape);
        data.slice_mut(s![.., start[0]..end[0], start[1]..end[1], start[2]..end[2]])
            .assign(&volume.data);
        Volume {
            data,
            affine: to.affine,
        }
    }

    /// Surrounds a label map with `value`.
    pub fn pad_labels(&self, labels: &LabelMap, value: u16) -> LabelMap {
        let from = labels.geometry();
        let to = self.apply_to_geometry(&from);
        let mut data = Array3::from_elem(to.shape, value);
        let VoxelBox { start, end } = self.inner(from.shape);
        data.slice_mut(s![start[0]..end[0], start[1]..end[1], start[2]..end[2]])
            .assign(&labels.data);
        LabelMap {
            data,
            affine: to.affine,
        }
    }
}

/// The bounding box of the voxels above `threshold` in any channel, widened by `margin` voxels and clipped to the
/// grid; `None` where no voxel is above it.
///
/// NaN is never above the threshold.
///
/// **Source**: MONAI 1.6.1 `generate_spatial_bounding_box(allow_smaller=True)`, which gives an empty box where there
/// is no foreground.
pub fn foreground_box(volume: &Volume, threshold: f32, margin: usize) -> Option<VoxelBox> {
    let shape = volume.geometry().shape;
    let channels = volume.data.outer_iter();
    let tight = channels
        .filter_map(|channel| channel_foreground_box(channel, threshold))
        .reduce(union)?;
    Some(VoxelBox {
        start: tight.start.map(|index| index.saturating_sub(margin)),
        end: std::array::from_fn(|axis| tight.end[axis].saturating_add(margin).min(shape[axis])),
    })
}

/// The bounding box of the voxels of one channel above `threshold`; `None` where there are none.
pub fn channel_foreground_box(channel: ArrayView3<'_, f32>, threshold: f32) -> Option<VoxelBox> {
    let slabs = (0..channel.len_of(Axis(0))).into_par_iter();
    slabs
        .filter_map(|x| slab_box(channel, x, threshold))
        .reduce_with(union)
}

/// The foreground's box within one slab: rows are searched from both ends up to the first foreground voxel, and only
/// outside of the box found so far.
fn slab_box(channel: ArrayView3<'_, f32>, x: usize, threshold: f32) -> Option<VoxelBox> {
    let plane = channel.index_axis(Axis(0), x);
    let plane = plane.as_standard_layout();
    let (ny, nz) = plane.dim();
    let values = plane.as_slice().unwrap_or_default();
    let row = |y: usize| &values[y * nz..(y + 1) * nz];
    let holds = |y: &usize| first_above(row(*y), threshold).is_some();
    let top = (0..ny).find(holds)?;
    let bottom = (top..ny).rev().find(holds).unwrap_or(top);
    let (mut first, mut after_last) = (nz, 0);
    for y in top..=bottom {
        let row = row(y);
        first = first_above(&row[..first], threshold).unwrap_or(first);
        after_last += last_above(&row[after_last..], threshold).map_or(0, |z| z + 1);
    }
    Some(VoxelBox {
        start: [x, top, first],
        end: [x + 1, bottom + 1, after_last],
    })
}

/// Values that are compared together.
const COMPARED: usize = 32;

/// Position of the first value above the threshold.
fn first_above(values: &[f32], threshold: f32) -> Option<usize> {
    let above = |value: &f32| *value > threshold;
    let clear = |chunk: &&[f32]| !chunk.iter().fold(false, |any, value| any | above(value));
    let skipped = values.chunks_exact(COMPARED).take_while(clear).count() * COMPARED;
    let found = values[skipped..].iter().position(above)?;
    Some(skipped + found)
}

/// Position of the last value above the threshold.
fn last_above(values: &[f32], threshold: f32) -> Option<usize> {
    let above = |value: &f32| *value > threshold;
    let clear = |chunk: &&[f32]| !chunk.iter().fold(false, |any, value| any | above(value));
    let skipped = values.rchunks_exact(COMPARED).take_while(clear).count() * COMPARED;
    values[..values.len() - skipped].iter().rposition(above)
}

/// The smallest box that holds both.
fn union(a: VoxelBox, b: VoxelBox) -> VoxelBox {
    VoxelBox {
        start: std::array::from_fn(|axis| a.start[axis].min(b.start[axis])),
        end: std::array::from_fn(|axis| a.end[axis].max(b.end[axis])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Affine;

    fn volume(shape: (usize, usize, usize, usize)) -> Volume {
        Volume {
            data: Array4::zeros(shape),
            affine: Affine::from_spacing([1.0, 2.0, 3.0]),
        }
    }

    #[test]
    fn foreground_of_any_channel_counts_and_margins_are_clipped() {
        let mut volume = volume((2, 6, 7, 8));
        assert_eq!(foreground_box(&volume, 0.0, 3), None);
        volume.data[[0, 2, 3, 4]] = 1.0;
        volume.data[[1, 3, 1, 5]] = 0.1;
        volume.data[[1, 5, 6, 7]] = -1.0;
        volume.data[[1, 0, 0, 0]] = f32::NAN;
        let tight = foreground_box(&volume, 0.0, 0);
        assert_eq!(
            tight,
            Some(VoxelBox {
                start: [2, 1, 4],
                end: [4, 4, 6]
            })
        );
        let wide = foreground_box(&volume, 0.0, 2);
        assert_eq!(
            wide,
            Some(VoxelBox {
                start: [0, 0, 2],
                end: [6, 6, 8]
            })
        );
        assert_eq!(
            foreground_box(&volume, 0.1, usize::MAX),
            Some(VoxelBox::whole([6, 7, 8]))
        );
        assert_eq!(
            foreground_box(&volume, 1.0, 0),
            None,
            "the threshold itself is background"
        );
    }

    #[test]
    fn boxes_outside_are_refused() {
        for (start, end) in [
            ([0; 3], [7, 7, 8]),
            ([2, 2, 2], [2, 3, 3]),
            ([3, 0, 0], [1, 1, 1]),
        ] {
            let found = VoxelBox { start, end }.crop_volume(volume((1, 6, 7, 8)));
            assert_eq!(
                found,
                Err(CropError::OutOfBounds {
                    start,
                    end,
                    shape: [6, 7, 8]
                })
            );
        }
    }

    #[test]
    fn a_crop_starts_at_its_first_voxel_in_the_world() {
        let cropped = VoxelBox {
            start: [1, 2, 3],
            end: [3, 4, 5],
        }
        .crop_volume(volume((1, 6, 7, 8)))
        .unwrap();
        assert_eq!(cropped.affine.origin(), [1.0, 4.0, 9.0]);
        assert_eq!(cropped.data.dim(), (1, 2, 2, 2));
    }
}
