//! From contours to voxels.

use std::collections::BTreeMap;

use ndarray::{Array2, Array3, ArrayView2, Axis};
use vesal_volume::{Geometry, LabelMap};

use crate::dicom::error::StructureError;
use crate::dicom::structures::Region;

/// Largest distance in slices between points of one contour.
const PLANAR: f64 = 0.25;

impl Region {
    /// The voxels whose centers the contours enclose: 1 inside, 0 outside.
    ///
    /// **Definition**: each contour counts for the slice nearest to it; in a slice, a center is inside where a line from
    /// it leaves an odd number of times, so that a contour within another cuts a hole. Contours beyond the first and
    /// the last slice count for none.
    ///
    /// **Errors**: [`StructureError`] for contours that do not lie in the slices of the grid, and for a grid without
    /// inverse.
    ///
    /// **Source**: PS3.3 C.8.8.6.
    pub fn mask(&self, grid: &Geometry) -> Result<LabelMap, StructureError> {
        let mut data = Array3::zeros(grid.shape);
        self.fill(grid, |z, inside| {
            let mut slice = data.index_axis_mut(Axis(2), z);
            slice.zip_mut_with(&inside, |voxel, inside| *voxel = u16::from(*inside));
        })?;
        Ok(LabelMap {
            data,
            affine: grid.affine,
        })
    }

    /// Gives the same slice by slice, of shape `[X, Y]`: only slices that have contours, from first to last. Returns
    /// the number of contours that lie beyond the grid's slices.
    ///
    /// **Errors**: as [`Region::mask`].
    pub fn fill(
        &self,
        grid: &Geometry,
        mut visit: impl FnMut(usize, ArrayView2<bool>),
    ) -> Result<usize, StructureError> {
        let to_voxel = grid.affine.inverse()?;
        let [columns, rows, slices] = grid.shape;
        let mut beyond = 0;
        let mut by_slice: BTreeMap<usize, Vec<Vec<[f64; 3]>>> = BTreeMap::new();
        for (index, contour) in self.contours.iter().enumerate() {
            let corners: Vec<[f64; 3]> = contour
                .iter()
                .map(|&corner| to_voxel.voxel_to_world(corner))
                .collect();
            let depths = || corners.iter().map(|corner| corner[2]);
            let (least, most) = (
                depths().fold(f64::INFINITY, f64::min),
                depths().fold(f64::NEG_INFINITY, f64::max),
            );
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
                by_slice.entry(slice as usize).or_default().push(corners);
            }
        }
        let mut mask = Array2::from_elem((columns, rows), false);
        for (slice, contours) in by_slice {
            mask.fill(false);
            for corners in &contours {
                for y in 0..rows {
                    for [from, to] in crossed(corners, y as f64) {
                        // Centers from `from` up to but not at `to`.
                        let start = from.ceil().clamp(0.0, columns as f64) as usize;
                        let end = to.ceil().clamp(0.0, columns as f64) as usize;
                        for x in start..end {
                            mask[[x, y]] ^= true;
                        }
                    }
                }
            }
            visit(slice, mask.view());
        }
        Ok(beyond)
    }
}

/// The parts of a row that a contour encloses.
fn crossed(corners: &[[f64; 3]], y: f64) -> Vec<[f64; 2]> {
    let next = corners.iter().cycle().skip(1);
    let mut crossings: Vec<f64> = corners
        .iter()
        .zip(next)
        // Of a corner on the row, only the edge that comes from above counts.
        .filter(|(a, b)| (a[1] <= y) != (b[1] <= y))
        .map(|(a, b)| a[0] + (y - a[1]) / (b[1] - a[1]) * (b[0] - a[0]))
        .collect();
    crossings.sort_by(f64::total_cmp);
    crossings.as_chunks().0.to_vec()
}
