//! From completed planes of all members to labels on the input's grid.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use ndarray::{Array3, ArrayView4};
use rayon::prelude::*;
use vesal_bundle::DeployPlan;
use vesal_onnx::Head;
use vesal_volume::LabelMap;
use vesal_volume::postprocess::{Combination, Combine, map_features};
use vesal_volume::preprocess::{PreprocessError, Restorer, TakeBlock, Trace};

use crate::error::EngineError;
use crate::segment::ProbabilitySink;

/// What becomes of the planes that members have completed.
pub(crate) struct Finisher<'a, 's> {
    plan: &'a DeployPlan,
    /// Head and weight of each.
    members: Vec<(Option<Head>, f64)>,
    joint: Joint,
    output: Restoring<'a, 's>,
    time: Duration,
}

impl<'a, 's> Finisher<'a, 's> {
    /// Starts without planes: `members` are head and weight of each, `values[k]` is the label of class `k`.
    ///
    /// **Errors**: the grids cannot be related, or probabilities not be stored.
    pub(crate) fn new(
        plan: &'a DeployPlan,
        members: Vec<(Option<Head>, f64)>,
        combine: Combine,
        trace: &'a Trace,
        values: &'a [u16],
        probabilities: Option<&'s mut (dyn ProbabilitySink + Send)>,
    ) -> Result<Self, EngineError> {
        Ok(Self {
            plan,
            joint: Joint {
                combine,
                planes: VecDeque::new(),
                taken: vec![0; members.len()],
                done: 0,
            },
            members,
            output: Restoring::new(trace, plan, values, probabilities)?,
            time: Duration::ZERO,
        })
    }

    /// Takes a member's next planes.
    pub(crate) fn take(
        &mut self,
        member: usize,
        planes: Vec<Array3<f32>>,
    ) -> Result<(), EngineError> {
        let begin = Instant::now();
        let (head, weight) = &self.members[member];
        let complete = self
            .joint
            .add(member, planes, head.as_ref(), *weight, self.plan)?;
        self.output.push(complete)?;
        self.time += begin.elapsed();
        Ok(())
    }

    /// Labels, and the time that was taken.
    pub(crate) fn finish(self) -> Result<(LabelMap, Duration), EngineError> {
        let begin = Instant::now();
        let labels = self.output.finish()?;
        Ok((labels, self.time + begin.elapsed()))
    }
}

/// Planes that some members have completed and others not.
struct Joint {
    combine: Combine,
    planes: VecDeque<Combination>,
    /// Planes taken from each member.
    taken: Vec<usize>,
    /// Planes that left.
    done: usize,
}

impl Joint {
    /// Adds a member's next planes, `[K, Y, Z]` once its head, if it has one, is applied; gives those that all members
    /// have completed now.
    fn add(
        &mut self,
        member: usize,
        planes: Vec<Array3<f32>>,
        head: Option<&Head>,
        weight: f64,
        plan: &DeployPlan,
    ) -> Result<Vec<Array3<f32>>, EngineError> {
        let first = self.taken[member] - self.done;
        self.taken[member] += planes.len();
        while self.planes.len() < first + planes.len() {
            let combination = Combination::new(self.combine, plan.activation);
            self.planes.push_back(combination);
        }
        let add = |(combination, plane): (&mut Combination, Array3<f32>)| {
            let plane = match head {
                Some(head) => map_features(plane.view(), &head.weight, &head.bias),
                None => plane,
            };
            // Rows take the place of planes, whose number decides over parallel work.
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

/// Labels and probabilities on their way to the input's grid.
struct Restoring<'a, 's> {
    restorer: Restorer<'a>,
    probabilities: Option<&'s mut (dyn ProbabilitySink + Send)>,
}

impl<'a, 's> Restoring<'a, 's> {
    fn new(
        trace: &'a Trace,
        plan: &DeployPlan,
        values: &'a [u16],
        mut probabilities: Option<&'s mut (dyn ProbabilitySink + Send)>,
    ) -> Result<Self, EngineError> {
        if let Some(sink) = &mut probabilities {
            sink.begin(values.len(), &trace.input, trace.plane_axis())
                .map_err(EngineError::Probabilities)?;
        }
        Ok(Self {
            restorer: Restorer::new(trace, plan.activation, values)?,
            probabilities,
        })
    }

    fn push(&mut self, planes: Vec<Array3<f32>>) -> Result<(), EngineError> {
        let restorer = &mut self.restorer;
        storing(&mut self.probabilities, |take| {
            restorer.push_all(planes, take)
        })
    }

    fn finish(mut self) -> Result<LabelMap, EngineError> {
        let restorer = self.restorer;
        storing(&mut self.probabilities, |take| restorer.finish(take))
    }
}

/// Lets a step of restoration hand its blocks to the sink, if there is one.
fn storing<T>(
    probabilities: &mut Option<&mut (dyn ProbabilitySink + Send)>,
    step: impl FnOnce(Option<&mut TakeBlock<'_>>) -> Result<T, PreprocessError>,
) -> Result<T, EngineError> {
    let Some(sink) = probabilities else {
        return Ok(step(None)?);
    };
    let mut stored = Ok(());
    let mut take = |start: [usize; 3], block: ArrayView4<'_, f32>| {
        if stored.is_ok() {
            stored = sink.write(start, block);
        }
    };
    let result = step(Some(&mut take))?;
    stored.map_err(EngineError::Probabilities)?;
    Ok(result)
}
