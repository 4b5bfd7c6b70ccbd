//! Cutting patches out of a volume, padded where it is smaller than the window.

use ndarray::{ArrayView4, ArrayViewMut4, Axis, s};

use super::Padding;
use super::grid::Span;

/// Copies one window of a volume into a patch.
///
/// **Shapes**: `volume` is `[C, X, Y, Z]`; `patch` is `[C, WX, WY, WZ]`. Voxels outside of the volume are written only
/// for [`Padding::Replicate`]: a padded axis holds a single window, so a constant that was filled in once remains.
pub(super) fn cut(
    volume: ArrayView4<'_, f32>,
    spans: &[Span; 3],
    padding: Padding,
    mut patch: ArrayViewMut4<'_, f32>,
) {
    let source = spans.each_ref().map(|span| span.volume.clone());
    let target = spans
        .each_ref()
        .map(|span| span.patch..span.patch + span.volume.len());
    let [x, y, z] = source;
    let [i, j, k] = target.clone();
    patch
        .slice_mut(s![.., i, j, k])
        .assign(&volume.slice(s![.., x, y, z]));
    if padding == Padding::Replicate {
        // Axis by axis, so that later axes copy the padding of earlier ones into edges and corners.
        for (axis, inside) in target.into_iter().enumerate() {
            replicate(patch.view_mut(), Axis(axis + 1), inside.start, inside.end);
        }
    }
}

/// Fills the slices before `start` and from `end` on with the nearest slice between them.
fn replicate(patch: ArrayViewMut4<'_, f32>, axis: Axis, start: usize, end: usize) {
    let (mut before, inside) = patch.split_at(axis, start);
    let (inside, mut after) = inside.split_at(axis, end - start);
    before.assign(&inside.slice_axis(axis, (..1).into()));
    after.assign(&inside.slice_axis(axis, (-1..).into()));
}

#[cfg(test)]
mod tests {
    use ndarray::{Array4, array};

    use super::*;
    use crate::window::{Blend, WindowGrid, WindowPlan};

    fn padded(volume: &Array4<f32>, size: [usize; 3], padding: Padding) -> Array4<f32> {
        let plan = WindowPlan {
            size,
            overlap: [0.0; 3],
            blend: Blend::Constant,
            padding,
        };
        let (channels, x, y, z) = volume.dim();
        let grid = WindowGrid::new([x, y, z], &plan).unwrap();
        let fill = if let Padding::Constant(value) = padding {
            value
        } else {
            f32::NAN
        };
        let mut patch = Array4::from_elem((channels, size[0], size[1], size[2]), fill);
        cut(
            volume.view(),
            &grid.spans([0; 3]),
            padding,
            patch.view_mut(),
        );
        patch
    }

    #[test]
    fn a_constant_surrounds_the_volume() {
        let volume = array![[[[1.0, 2.0], [3.0, 4.0]]]];
        let patch = padded(&volume, [1, 3, 5], Padding::Constant(-1.0));
        let expected = array![[[
            [-1.0, 1.0, 2.0, -1.0, -1.0],
            [-1.0, 3.0, 4.0, -1.0, -1.0],
            [-1.0, -1.0, -1.0, -1.0, -1.0]
        ]]];
        assert_eq!(patch, expected);
    }

    #[test]
    fn the_nearest_voxel_surrounds_the_volume() {
        let volume = array![[[[1.0, 2.0], [3.0, 4.0]]]];
        let patch = padded(&volume, [3, 4, 3], Padding::Replicate);
        let plane = array![
            [1.0, 2.0, 2.0],
            [1.0, 2.0, 2.0],
            [3.0, 4.0, 4.0],
            [3.0, 4.0, 4.0]
        ];
        for x in 0..3 {
            assert_eq!(patch.slice(s![0, x, .., ..]), plane);
        }
    }
}
