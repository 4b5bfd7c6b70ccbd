//! From contours to voxels.

use std::collections::BTreeMap;
use std::ops::Range;

use ndarray::{Array2, Array3, ArrayView2, Axis, s};
use vesal_volume::{Affine, Geometry, LabelMap};

use crate::dicom::error::{CROSSINGS_PER_VOXEL, StructureError};
use crate::dicom::structures::Region;

/// Largest distance in slices between points of one contour.
const PLANAR: f64 = 0.25;

impl Region {
    /// The voxels whose centers the contours enclose: 1 inside, 0 outside.
    ///
    /// **Definition**: each contour belongs to the nearest slice; in a slice, a center is inside by the even-odd rule,
    /// so a contour within another cuts a hole. Contours beyond the first and the last slice are ignored.
    ///
    /// **Errors**: [`StructureError`] for contours that do not lie in the slices of the grid, and for a grid without
    /// inverse.
    ///
    /// **Source**: PS3.3 C.8.8.6.
    pub fn mask(&self, grid: &Geometry) -> Result<LabelMap, StructureError> {
        let mut data = Array3::zeros(grid.shape);
        self.fill(grid, |z, rows, inside| {
            let mut slice = data.index_axis_mut(Axis(2), z);
            let mut slice = slice.slice_mut(s![.., rows]);
            slice.zip_mut_with(&inside, |voxel, inside| *voxel = u16::from(*inside));
        })?;
        Ok(LabelMap {
            data,
            affine: grid.affine,
        })
    }

    /// Computes the same slice by slice: only for slices with contours, in order, and for the rows that contours reach,
    /// of shape `[X, rows]`. Returns the number of contours that lie beyond the grid's slices.
    ///
    /// Time is linear in the row crossings of contours, at most 64 per voxel of a slice, and in the voxels of the
    /// returned rows; memory is that of one slice.
    ///
    /// **Errors**: as [`Region::mask`].
    pub fn fill(
        &self,
        grid: &Geometry,
        mut visit: impl FnMut(usize, Range<usize>, ArrayView2<bool>),
    ) -> Result<usize, StructureError> {
        let to_voxel = grid.affine.inverse()?;
        let [columns, rows, slices] = grid.shape;
        let mut beyond = 0;
        let mut by_slice: BTreeMap<usize, Vec<&[[f64; 3]]>> = BTreeMap::new();
        for (index, contour) in self.contours.iter().enumerate() {
            let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
            for &corner in contour {
                let [_, _, depth] = to_voxel.voxel_to_world(corner);
                (least, most) = (least.min(depth), most.max(depth));
            }
            if most - least > PLANAR {
                return Err(StructureError::NotInSlice {
                    contour: index + 1,
                    slices: most - least,
                });
            }
            let slice = ((least + most) / 2.0).round();
            if slice < 0.0 || slice >= slices as f64 {
                beyond += 1;
            } else {
                by_slice.entry(slice as usize).or_default().push(contour);
            }
        }
        let mut crossings = Crossings {
            to_voxel,
            of: Array2::from_elem((columns, rows), false),
            rows: 0..0,
        };
        let limit = CROSSINGS_PER_VOXEL * crossings.of.len();
        for (slice, contours) in by_slice {
            let mut left = limit;
            for contour in contours {
                left = crossings
                    .add(contour, left)
                    .ok_or(StructureError::Crossings { slice, limit })?;
            }
            crossings.visit(|rows, inside| visit(slice, rows, inside));
        }
        Ok(beyond)
    }
}

/// Where contours cross the rows of a slice.
struct Crossings {
    to_voxel: Affine,
    /// For each voxel, whether an odd number of edges lies between it and the previous voxel.
    of: Array2<bool>,
    /// The rows that are crossed.
    rows: Range<usize>,
}

impl Crossings {
    /// Adds the edges of a contour; returns how many of the allowed crossings are left, `None` where they are used up.
    fn add(&mut self, corners: &[[f64; 3]], mut left: usize) -> Option<usize> {
        let (columns, rows) = self.of.dim();
        let corner = |&corner: &[f64; 3]| {
            let [x, y, _] = self.to_voxel.voxel_to_world(corner);
            [x, y]
        };
        let Some(mut a) = corners.last().map(corner) else {
            return Some(left);
        };
        let row = |y: f64| y.ceil().clamp(0.0, rows as f64) as usize;
        for b in corners.iter().map(corner) {
            // At a corner on a row, only the edge from above counts: rows from `first` up to but excluding `end`.
            let (first, end) = (row(a[1].min(b[1])), row(a[1].max(b[1])));
            left = left.checked_sub(end.saturating_sub(first))?;
            for y in first..end {
                let x = a[0] + (y as f64 - a[1]) / (b[1] - a[1]) * (b[0] - a[0]);
                // The first center at or after the crossing.
                let x = x.ceil().clamp(0.0, columns as f64) as usize;
                if let Some(crossed) = self.of.get_mut((x, y)) {
                    *crossed ^= true;
                }
            }
            if first < end {
                self.rows = if self.rows.is_empty() {
                    first..end
                } else {
                    self.rows.start.min(first)..self.rows.end.max(end)
                };
            }
            a = b;
        }
        Some(left)
    }

    /// Returns the crossed rows, and resets.
    fn visit(&mut self, visit: impl FnOnce(Range<usize>, ArrayView2<bool>)) {
        let rows = std::mem::take(&mut self.rows);
        let mut crossed = self.of.slice_mut(s![.., rows.clone()]);
        for mut row in crossed.columns_mut() {
            let mut inside = false;
            for voxel in &mut row {
                inside ^= *voxel;
                *voxel = inside;
            }
        }
        visit(rows, crossed.view());
        crossed.fill(false);
    }
}
