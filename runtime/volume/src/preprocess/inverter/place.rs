//! Positions of planes of the prepared grid on the input's grid.

use ndarray::{ArrayView4, ArrayViewMut3, Axis, s};

use crate::preprocess::AppliedStep;
use crate::preprocess::traverse::box_before;

/// The part of a map on the input's grid that the steps kept, in their orientation.
pub(super) fn prepared_view<'a>(
    mut view: ArrayViewMut3<'a, u16>,
    steps: &[AppliedStep],
) -> ArrayViewMut3<'a, u16> {
    for step in steps {
        match step {
            AppliedStep::Orient { transform, .. } => {
                view = view.permuted_axes(transform.source);
                for axis in (0..3).filter(|&axis| transform.flip[axis]) {
                    view.invert_axis(Axis(axis));
                }
            }
            AppliedStep::Crop { bounds, .. } => {
                let [x, y, z] = [0, 1, 2].map(|axis| bounds.start[axis]..bounds.end[axis]);
                view = view.slice_move(s![x, y, z]);
            }
            AppliedStep::Resample { .. }
            | AppliedStep::ResampleToMatch
            | AppliedStep::Normalize { .. } => {}
        }
    }
    view
}

/// The block that starts at this voxel after the steps, in the coordinates before them.
pub(super) fn undone<'a>(
    steps: &[AppliedStep],
    start: [usize; 3],
    mut block: ArrayView4<'a, f32>,
) -> ([usize; 3], ArrayView4<'a, f32>) {
    let (_, x, y, z) = block.dim();
    let (start, _) = box_before(steps, start, [x, y, z]);
    for step in steps.iter().rev() {
        if let AppliedStep::Orient { transform, .. } = step {
            block = transform.inverse().apply_to_view(block);
        }
    }
    (start, block)
}
