//! Combining planes of several members on the grid that all of them predict.

use std::collections::VecDeque;

use ndarray::Array3;
use rayon::prelude::*;
use vesal_onnx::Head;
use vesal_volume::postprocess::{Activation, Combination, Combine, map_features};

use crate::error::EngineError;

/// Sums over members of planes that some members have completed and others have not.
pub(super) struct EnsembleAccumulator {
    combine: Combine,
    activation: Activation,
    planes: VecDeque<Combination>,
    /// Planes taken from each member.
    taken: Vec<usize>,
    /// Planes that all members have completed.
    done: usize,
}

impl EnsembleAccumulator {
    pub(super) fn new(combine: Combine, activation: Activation, members: usize) -> Self {
        Self {
            combine,
            activation,
            planes: VecDeque::new(),
            taken: vec![0; members],
            done: 0,
        }
    }

    /// Adds a member's next planes, `[K, Y, Z]` after its head, if it has one; returns the combined planes that all members
    /// have completed now.
    pub(super) fn add(
        &mut self,
        member: usize,
        planes: Vec<Array3<f32>>,
        head: Option<&Head>,
        weight: f64,
    ) -> Result<Vec<Array3<f32>>, EngineError> {
        let first = self.taken[member] - self.done;
        self.taken[member] += planes.len();
        while self.planes.len() < first + planes.len() {
            let combination = Combination::new(self.combine, self.activation);
            self.planes.push_back(combination);
        }
        let add = |(combination, plane): (&mut Combination, Array3<f32>)| {
            let plane = through(head, plane);
            // Rows are parallelized instead of planes, which may be few.
            let (classes, y, z) = plane.dim();
            let rows = plane.into_shape_with_order((classes, y, 1, z))?;
            Ok::<_, EngineError>(combination.add(rows, weight)?)
        };
        let pairs: Vec<_> = self.planes.range_mut(first..).zip(planes).collect();
        pairs.into_par_iter().try_for_each(add)?;
        let complete = self.taken.iter().min().map_or(0, |taken| taken - self.done);
        self.done += complete;
        let finish = |combination: Combination| {
            let mean = combination.finish()?;
            let (classes, y, _, z) = mean.dim();
            Ok(mean.into_shape_with_order((classes, y, z))?)
        };
        self.planes.drain(..complete).map(finish).collect()
    }
}

/// A plane, `[K, Y, Z]`, after the head of its member, if it has one.
pub(super) fn through(head: Option<&Head>, plane: Array3<f32>) -> Array3<f32> {
    match head {
        Some(head) => map_features(plane.view(), &head.weight, &head.bias),
        None => plane,
    }
}
