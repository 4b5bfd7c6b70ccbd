//! Traversal of the prepared grid along an axis of the input's grid.

use super::{AppliedStep, AppliedTransforms};
use crate::geometry::Geometry;
use crate::orientation::AxisTransform;

impl AppliedTransforms {
    /// The transform of the axes by all steps together, without crops and resampling.
    pub fn orientation(&self) -> AxisTransform {
        let mut found = AxisTransform::IDENTITY;
        for axis in 0..3 {
            for step in self.steps.iter().rev() {
                if let AppliedStep::Orient { transform, .. } = step {
                    let at = found.source[axis];
                    found.flip[axis] ^= transform.flip[at];
                    found.source[axis] = transform.source[at];
                }
            }
        }
        found
    }

    /// The transform that brings first the axis of the prepared grid that follows this axis of the input, in the same
    /// direction or against it.
    pub fn traversal(&self, input_axis: usize, reversed: bool) -> AxisTransform {
        let orientation = self.orientation();
        let first = (0..3).find(|&axis| orientation.source[axis] == input_axis);
        let first = first.unwrap_or_default();
        let rest: Vec<usize> = (0..3).filter(|&axis| axis != first).collect();
        AxisTransform {
            source: [first, rest[0], rest[1]],
            flip: [orientation.flip[first] != reversed, false, false],
        }
    }

    /// The box of the input's grid that predictions cover: its first voxel and its shape. The rest was cropped away.
    pub fn kept(&self) -> ([usize; 3], [usize; 3]) {
        let (at, before) = self.first_grid_change();
        let whole = ([0; 3], self.input.shape);
        let moved = |step: &AppliedStep| {
            matches!(step, AppliedStep::Orient { .. } | AppliedStep::Crop { .. })
        };
        if self.steps[at..].iter().any(moved) {
            return whole;
        }
        box_before(&self.steps[..at], [0; 3], before.shape)
    }

    /// Index of the first step that resamples, or the number of steps, and the grid before it.
    fn first_grid_change(&self) -> (usize, Geometry) {
        for (index, step) in self.steps.iter().enumerate() {
            if let AppliedStep::Resample { before, .. } = step {
                return (index, *before);
            }
        }
        (self.steps.len(), self.prepared)
    }

    /// The same preprocessing for predictions whose axes were permuted and flipped.
    ///
    /// The axes are turned before the first resampling, so that planes can still be inverted one after the other.
    pub fn traversed(&self, transform: AxisTransform) -> Self {
        if transform == AxisTransform::IDENTITY {
            return self.clone();
        }
        let keeps_axes = |step: &AppliedStep| {
            matches!(
                step,
                AppliedStep::Resample { .. }
                    | AppliedStep::ResampleToMatch
                    | AppliedStep::Normalize { .. }
            )
        };
        let (at, before) = match self.first_grid_change() {
            (at, before) if self.steps[at..].iter().all(keeps_axes) => (at, before),
            _ => (self.steps.len(), self.prepared),
        };
        let mut steps = self.steps[..at].to_vec();
        steps.push(AppliedStep::Orient { transform, before });
        steps.extend(self.steps[at..].iter().map(|step| match step {
            AppliedStep::Resample { before, after } => AppliedStep::Resample {
                before: transform.apply_to_geometry(before),
                after: transform.apply_to_geometry(after),
            },
            step => step.clone(),
        }));
        Self {
            input: self.input,
            prepared: transform.apply_to_geometry(&self.prepared),
            steps,
        }
    }
}

/// First voxel and shape of a box before the steps, of which those are given after them.
pub(super) fn box_before(
    steps: &[AppliedStep],
    mut start: [usize; 3],
    mut shape: [usize; 3],
) -> ([usize; 3], [usize; 3]) {
    for step in steps.iter().rev() {
        match step {
            AppliedStep::Orient { transform, before } => {
                let after = transform.source.map(|source| before.shape[source]);
                for axis in (0..3).filter(|&axis| transform.flip[axis]) {
                    start[axis] = after[axis] - start[axis] - shape[axis];
                }
                let source = transform.inverse().source;
                start = source.map(|axis| start[axis]);
                shape = source.map(|axis| shape[axis]);
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
    (start, shape)
}
