//! Where planes of the prepared grid lie on the input's, before steps are undone.

use ndarray::{ArrayView4, ArrayViewMut3, Axis, s};

use crate::preprocess::AppliedStep;

/// The part of a map on the input's grid that steps took from it, as they oriented it.
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

/// A block that starts at this voxel after the steps, as it was before them.
pub(super) fn undone<'a>(
    steps: &[AppliedStep],
    mut start: [usize; 3],
    mut block: ArrayView4<'a, f32>,
) -> ([usize; 3], ArrayView4<'a, f32>) {
    for step in steps.iter().rev() {
        match step {
            AppliedStep::Orient { transform, before } => {
                let shape = [block.dim().1, block.dim().2, block.dim().3];
                let after: [usize; 3] = transform.source.map(|source| before.shape[source]);
                for axis in (0..3).filter(|&axis| transform.flip[axis]) {
                    start[axis] = after[axis] - start[axis] - shape[axis];
                    block.invert_axis(Axis(axis + 1));
                }
                let source = transform.inverse().source;
                start = source.map(|axis| start[axis]);
                block = block.permuted_axes([0, source[0] + 1, source[1] + 1, source[2] + 1]);
            }
            AppliedStep::Crop { bounds, .. } => {
                for (start, offset) in start.iter_mut().zip(bounds.start) {
                    *start += offset;
                }
            }
            AppliedStep::Resample { .. }
            | AppliedStep::ResampleToMatch
            | AppliedStep::Normalize { .. } => {}
        }
    }
    (start, block)
}
