//! Combining predictions of different prepared grids on the grid of the input, one block of planes at a time.

use std::collections::VecDeque;

use ndarray::{Array3, Array4, ArrayView4, Axis, Slice};

use super::labeling::LabelingError;
use super::mean::{MeanError, ProbabilityMean};
use super::vote::Votes;
use super::{Activation, Combine};
use crate::geometry::Geometry;
use crate::preprocess::BlockConsumer;
use crate::volume::LabelMap;

/// Values of all classes that are combined at once: 64 MiB.
const BLOCK_VALUES: usize = 1 << 24;

/// Why predictions cannot be combined on the grid of the input.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum InputGridError {
    #[error(transparent)]
    Combine(#[from] MeanError),
    #[error(transparent)]
    Label(#[from] LabelingError),
    /// A block outside of the grid, of another number of classes, or before what was pushed already.
    #[error(
        "prediction {member} pushes a block of shape {shape:?} at voxel {start:?}, which does not continue it"
    )]
    Block {
        member: usize,
        start: [usize; 3],
        /// `[K, X, Y, Z]`.
        shape: [usize; 4],
    },
}

/// Weight of one prediction, and the kind of its blocks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InputGridMember {
    pub weight: f64,
    /// Whether its blocks are logits, which become probabilities here. Voxels of no block have logits 0, or otherwise
    /// probability 0.
    pub logits: bool,
    /// Planes, in the order of the blocks, before the first that its blocks cover.
    pub before: usize,
}

/// Combines the predictions of several members on one grid as they arrive, and labels them.
///
/// Blocks of each member come in the order of one axis of the grid. As soon as all members have passed a plane, it is
/// combined in the order of the members and labeled; only the planes by which a member is ahead of the slowest are
/// held.
pub struct InputGridEnsemble<'a> {
    combine: Combine,
    activation: Activation,
    values: &'a [u16],
    axis: usize,
    reversed: bool,
    members: Vec<Pending>,
    /// Planes combined, in the order of the blocks.
    done: usize,
    labels: LabelMap,
}

struct Pending {
    member: InputGridMember,
    /// Planes, in the order of the blocks, that were pushed completely.
    complete: usize,
    blocks: VecDeque<Block>,
}

struct Block {
    /// Planes in the order of the blocks.
    first: usize,
    end: usize,
    start: [usize; 3],
    data: Array4<f32>,
}

impl<'a> InputGridEnsemble<'a> {
    /// Starts without blocks; `values[k]` is the label of class `k`. Blocks follow each other along an axis of the grid, or
    /// against it.
    pub fn new(
        grid: Geometry,
        (axis, reversed): (usize, bool),
        (combine, activation): (Combine, Activation),
        values: &'a [u16],
        members: &[InputGridMember],
    ) -> Self {
        let pending = |&member| Pending {
            member,
            complete: member.before,
            blocks: VecDeque::new(),
        };
        Self {
            combine,
            activation,
            values,
            axis,
            reversed,
            members: members.iter().map(pending).collect(),
            done: 0,
            labels: LabelMap {
                data: Array3::from_elem(grid.shape, activation.outside(values)),
                affine: grid.affine,
            },
        }
    }

    /// Bytes of the probabilities that are combined at once: of planes `[y, z]`, of which there are `planes`.
    pub fn block_bytes(classes: usize, [planes, y, z]: [usize; 3]) -> u64 {
        let plane = classes.saturating_mul(y).saturating_mul(z);
        let at_once = planes_at_once(plane).min(planes);
        (plane as u64)
            .saturating_mul(at_once as u64)
            .saturating_mul(size_of::<f32>() as u64)
    }

    /// Planes of the grid along the axis.
    fn planes(&self) -> usize {
        self.labels.data.shape()[self.axis]
    }

    /// Takes a member's next block, `[K, X, Y, Z]`, that begins at this voxel.
    ///
    /// **Errors**: [`InputGridError`].
    pub fn push(
        &mut self,
        member: usize,
        start: [usize; 3],
        block: ArrayView4<'_, f32>,
        take: Option<&mut BlockConsumer<'_>>,
    ) -> Result<(), InputGridError> {
        let (classes, x, y, z) = block.dim();
        let shape = [x, y, z];
        let grid: [usize; 3] = self.labels.data.dim().into();
        let (low, high) = (start[self.axis], start[self.axis] + shape[self.axis]);
        let inside = (0..3).all(|axis| start[axis] + shape[axis] <= grid[axis]);
        let (first, end) = match self.reversed {
            true => (
                self.planes().wrapping_sub(high),
                self.planes().wrapping_sub(low),
            ),
            false => (low, high),
        };
        let pending = &mut self.members[member];
        if !inside || classes != self.values.len() || first < pending.complete {
            let shape = [classes, x, y, z];
            return Err(InputGridError::Block {
                member,
                start,
                shape,
            });
        }
        pending.complete = end;
        pending.blocks.push_back(Block {
            first,
            end,
            start,
            data: block.to_owned(),
        });
        self.advance(take)
    }

    /// Ends a member: no further block of it comes.
    ///
    /// **Errors**: [`InputGridError`].
    pub fn end(
        &mut self,
        member: usize,
        take: Option<&mut BlockConsumer<'_>>,
    ) -> Result<(), InputGridError> {
        self.members[member].complete = self.planes();
        self.advance(take)
    }

    /// Returns the labels once all members have ended.
    pub fn finish(self) -> LabelMap {
        self.labels
    }

    /// Combines the planes that all members have passed.
    fn advance(&mut self, mut take: Option<&mut BlockConsumer<'_>>) -> Result<(), InputGridError> {
        let complete = self.members.iter().map(|member| member.complete).min();
        let complete = complete.unwrap_or(0);
        let shape: [usize; 3] = self.labels.data.dim().into();
        let plane = shape.iter().product::<usize>() / self.planes().max(1);
        let at_once = planes_at_once(self.values.len() * plane);
        while self.done < complete {
            let end = complete.min(self.done + at_once);
            self.combine(end, take.as_deref_mut())?;
            self.done = end;
            for member in &mut self.members {
                while member.blocks.front().is_some_and(|block| block.end <= end) {
                    member.blocks.pop_front();
                }
            }
        }
        Ok(())
    }

    /// Combines and labels the planes from the last combined one to `end`.
    fn combine(
        &mut self,
        end: usize,
        take: Option<&mut BlockConsumer<'_>>,
    ) -> Result<(), InputGridError> {
        let low = match self.reversed {
            true => self.planes() - end,
            false => self.done,
        };
        let high = low + end - self.done;
        let mut shape: [usize; 3] = self.labels.data.dim().into();
        shape[self.axis] = high - low;
        let mut start = [0; 3];
        start[self.axis] = low;
        let mut mean = ProbabilityMean::new(self.activation);
        let mut votes = Votes::new(self.activation);
        for pending in &self.members {
            let slab = self.slab(pending, shape, low, high);
            match self.combine {
                Combine::Mean => mean.add_probabilities(slab, pending.member.weight)?,
                Combine::Vote => votes.add(slab, pending.member.weight)?,
            }
        }
        let combined = match self.combine {
            Combine::Mean => mean.finish()?,
            Combine::Vote => votes.finish()?,
        };
        let labels = self.activation.labels(combined.view(), self.values);
        let labels = labels.map_err(|error| match error {
            LabelingError::NotANumber { class, mut voxel } => {
                voxel[self.axis] += low;
                LabelingError::NotANumber { class, voxel }
            }
            error @ LabelingError::Table { .. } => error,
        })?;
        let planes = Slice::from(low..high);
        let mut to = self.labels.data.slice_axis_mut(Axis(self.axis), planes);
        to.assign(&labels);
        if let Some(take) = take {
            take(start, combined.view());
        }
        Ok(())
    }

    /// Probabilities of one member over the planes from `low` to `high`.
    fn slab(
        &self,
        pending: &Pending,
        [x, y, z]: [usize; 3],
        low: usize,
        high: usize,
    ) -> Array4<f32> {
        let mut slab = Array4::zeros((self.values.len(), x, y, z));
        for block in &pending.blocks {
            let (from, to) = match self.reversed {
                true => (self.planes() - block.end, self.planes() - block.first),
                false => (block.first, block.end),
            };
            let (from, to) = (from.max(low), to.min(high));
            if from >= to {
                continue;
            }
            let mut target = slab.view_mut();
            let mut source = block.data.view();
            for (axis, &start) in block.start.iter().enumerate() {
                let (offset, first, last) = match axis == self.axis {
                    true => (low, from, to),
                    false => (0, start, start + block.data.shape()[axis + 1]),
                };
                target.slice_axis_inplace(Axis(axis + 1), (first - offset..last - offset).into());
                source.slice_axis_inplace(Axis(axis + 1), (first - start..last - start).into());
            }
            target.assign(&source);
        }
        if pending.member.logits {
            self.activation.probabilities_in_place(slab.view_mut());
        }
        slab
    }
}

/// Number of planes of this many values that are combined at once.
fn planes_at_once(values: usize) -> usize {
    (BLOCK_VALUES / values.max(1)).max(1)
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::geometry::Affine;

    fn grid(shape: [usize; 3]) -> Geometry {
        Geometry {
            shape,
            affine: Affine::IDENTITY,
        }
    }

    fn member(weight: f64, logits: bool) -> InputGridMember {
        InputGridMember {
            weight,
            logits,
            before: 0,
        }
    }

    /// One voxel wide, two classes, planes along X with these probabilities of class 1.
    fn block(probabilities: &[f32]) -> Array4<f32> {
        let planes = probabilities.len();
        Array4::from_shape_fn((2, planes, 1, 1), |(class, x, _, _)| match class {
            0 => 1.0 - probabilities[x],
            _ => probabilities[x],
        })
    }

    #[test]
    fn members_are_combined_as_soon_as_all_have_passed_a_plane() {
        let mode = (Combine::Mean, Activation::Softmax);
        let members = [member(1.0, false), member(3.0, false)];
        let mut ensemble =
            InputGridEnsemble::new(grid([4, 1, 1]), (0, false), mode, &[0, 9], &members);
        let mut taken: Vec<([usize; 3], Vec<f32>)> = Vec::new();
        let mut take = |start: [usize; 3], block: ArrayView4<'_, f32>| {
            taken.push((start, block.iter().copied().collect()));
        };
        // The first member was cropped to planes 1 and 2.
        ensemble
            .push(0, [1, 0, 0], block(&[1.0, 1.0]).view(), Some(&mut take))
            .unwrap();
        ensemble
            .push(1, [0, 0, 0], block(&[0.0, 0.5]).view(), Some(&mut take))
            .unwrap();
        ensemble
            .push(1, [2, 0, 0], block(&[0.25, 1.0]).view(), Some(&mut take))
            .unwrap();
        ensemble.end(0, Some(&mut take)).unwrap();
        ensemble.end(1, Some(&mut take)).unwrap();
        assert_eq!(ensemble.finish().data, array![[[0]], [[9]], [[0]], [[9]]]);
        assert_eq!(
            taken,
            [
                ([0, 0, 0], vec![0.75, 0.375, 0.0, 0.625]),
                ([2, 0, 0], vec![0.5625, 0.4375]),
                ([3, 0, 0], vec![0.0, 0.75])
            ]
        );
    }

    #[test]
    fn logits_outside_of_what_was_kept_are_zero() {
        let mode = (Combine::Mean, Activation::Sigmoid);
        let members = [member(1.0, true)];
        let mut ensemble =
            InputGridEnsemble::new(grid([3, 1, 1]), (0, true), mode, &[1, 2], &members);
        let mut all = Array4::zeros((2, 3, 1, 1));
        let mut take = |start: [usize; 3], block: ArrayView4<'_, f32>| {
            let planes = start[0]..start[0] + block.dim().1;
            all.slice_axis_mut(Axis(1), planes.into()).assign(&block);
        };
        let logits = Array4::from_elem((2, 1, 1, 1), 200.0);
        ensemble
            .push(0, [1, 0, 0], logits.view(), Some(&mut take))
            .unwrap();
        ensemble.end(0, Some(&mut take)).unwrap();
        assert_eq!(ensemble.finish().data, array![[[0]], [[3]], [[0]]]);
        assert_eq!(
            all,
            array![[[[0.5]], [[1.0]], [[0.5]]], [[[0.5]], [[1.0]], [[0.5]]]]
        );
    }

    #[test]
    fn votes_are_cast_on_the_grid_of_the_input() {
        let mode = (Combine::Vote, Activation::Softmax);
        let members = [member(1.0, false), member(1.0, false), member(1.0, false)];
        let mut ensemble =
            InputGridEnsemble::new(grid([1, 1, 1]), (2, false), mode, &[0, 4], &members);
        for (index, probability) in [0.6, 0.6, 0.0].into_iter().enumerate() {
            ensemble
                .push(index, [0; 3], block(&[probability]).view(), None)
                .unwrap();
        }
        assert_eq!(ensemble.finish().data, array![[[4]]]);
    }

    #[test]
    fn blocks_that_go_back_or_leave_the_grid_are_refused() {
        let mode = (Combine::Mean, Activation::Softmax);
        let members = [member(1.0, false), member(1.0, false)];
        let mut ensemble =
            InputGridEnsemble::new(grid([3, 1, 1]), (0, false), mode, &[0, 1], &members);
        ensemble
            .push(0, [1, 0, 0], block(&[1.0]).view(), None)
            .unwrap();
        for (start, planes) in [
            ([1, 0, 0], 1),
            ([0, 0, 0], 1),
            ([2, 0, 0], 2),
            ([2, 1, 0], 1),
        ] {
            let refused = ensemble.push(0, start, block(&vec![0.0; planes]).view(), None);
            assert!(
                matches!(refused, Err(InputGridError::Block { member: 0, .. })),
                "{start:?}"
            );
        }
    }
}
