//! Surfaces of masks, cropped to their bounding box.

use std::ops::Range;

use ndarray::{Array3, ArrayView3, Axis, s};
use rayon::prelude::*;

/// A box of voxels, per axis.
pub(super) type Bounds = [Range<usize>; 3];

/// The smallest box that holds every voxel inside, or `None` where there is none.
pub(super) fn bounds<T: Copy + Sync>(
    values: ArrayView3<'_, T>,
    inside: impl Fn(T) -> bool + Sync,
) -> Option<Bounds> {
    let slabs: Vec<_> = values.axis_iter(Axis(0)).enumerate().collect();
    slabs
        .into_par_iter()
        .filter_map(|(x, slab)| {
            let mut found: Option<Bounds> = None;
            for (y, row) in slab.outer_iter().enumerate() {
                let Some(first) = row.iter().position(|&value| inside(value)) else {
                    continue;
                };
                let last = row
                    .iter()
                    .rposition(|&value| inside(value))
                    .unwrap_or(first);
                let row = [x..x + 1, y..y + 1, first..last + 1];
                found = Some(found.map_or(row.clone(), |bounds| union(bounds, row)));
            }
            found
        })
        .reduce_with(union)
}

/// The smallest box that holds both.
pub(super) fn union(a: Bounds, b: Bounds) -> Bounds {
    let [ax, ay, az] = a;
    let [bx, by, bz] = b;
    [(ax, bx), (ay, by), (az, bz)].map(|(a, b)| a.start.min(b.start)..a.end.max(b.end))
}

/// The voxels inside that touch the outside through a face, within a box that holds every voxel inside.
///
/// **Source**: mask XOR its erosion by one voxel and its six neighbors, as MONAI 1.6.1 `get_mask_edges`.
pub(super) fn boundary<T: Copy + Sync>(
    values: ArrayView3<'_, T>,
    bounds: &Bounds,
    inside: impl Fn(T) -> bool + Sync,
) -> Array3<bool> {
    let [x, y, z] = bounds.clone();
    let mask = values.slice(s![x, y, z]).mapv(inside);
    let (planes, rows, _) = mask.dim();
    let row = |x: usize, y: usize| mask.slice(s![x, y, ..]);
    let mut edges = mask.clone();
    let slabs: Vec<_> = edges.outer_iter_mut().enumerate().collect();
    slabs.into_par_iter().for_each(|(x, mut slab)| {
        // Rows at the faces of the box are edges, because all voxels outside of the box are outside of the mask.
        if x == 0 || x + 1 == planes {
            return;
        }
        for y in 1..rows.saturating_sub(1) {
            let center = row(x, y);
            let neighbors = [row(x - 1, y), row(x + 1, y), row(x, y - 1), row(x, y + 1)];
            for z in 1..center.len().saturating_sub(1) {
                let interior = center[z - 1] && center[z + 1] && neighbors.iter().all(|row| row[z]);
                slab[[y, z]] = center[z] && !interior;
            }
        }
    });
    edges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_hold_every_voxel_and_no_more() {
        let mut mask = Array3::from_elem((5, 6, 7), false);
        assert_eq!(bounds(mask.view(), |inside| inside), None);
        mask[[1, 4, 2]] = true;
        mask[[3, 2, 5]] = true;
        assert_eq!(
            bounds(mask.view(), |inside| inside),
            Some([1..4, 2..5, 2..6])
        );
    }

    #[test]
    fn a_cube_has_its_shell_as_boundary() {
        let mut map = Array3::<u16>::zeros((7, 8, 9));
        map.slice_mut(s![1..5, 2..6, 3..7]).fill(4);
        let bounds = bounds(map.view(), |label| label == 4).unwrap();
        let edges = boundary(map.view(), &bounds, |label| label == 4);
        assert_eq!(edges.dim(), (4, 4, 4));
        assert_eq!(edges.iter().filter(|&&edge| edge).count(), 64 - 8);
        assert!(!edges[[1, 2, 2]] && edges[[0, 2, 2]]);
    }

    #[test]
    fn the_edge_of_the_volume_is_a_boundary() {
        let mask = Array3::from_elem((3, 3, 3), true);
        let edges = boundary(mask.view(), &[0..3, 0..3, 0..3], |inside| inside);
        assert_eq!(edges.iter().filter(|&&edge| edge).count(), 26);
    }
}
