//! From completed planes of all members to labels on the input's grid.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ndarray::{Array3, ArrayView4};
use rayon::prelude::*;
use vesal_bundle::DeployPlan;
use vesal_onnx::Head;
use vesal_volume::postprocess::{Combination, Combine, map_features};
use vesal_volume::preprocess::{PreprocessError, Restorer, TakeBlock, Trace};
use vesal_volume::{Geometry, LabelMap};

use crate::error::{EngineError, SinkError};

/// Where probabilities go as they are made, so that they need not exist in memory.
pub trait ProbabilitySink {
    /// Is told what is coming: the number of classes, the input's grid, and the axis along which blocks follow each
    /// other.
    ///
    /// **Errors**: whatever keeps it from storing.
    fn begin(&mut self, classes: usize, grid: &Geometry, axis: usize) -> Result<(), SinkError>;

    /// Takes a block `[K, X, Y, Z]` that begins at this voxel of the input's grid. What no block holds is 0.
    ///
    /// **Errors**: whatever keeps it from storing.
    fn write(&mut self, start: [usize; 3], block: ArrayView4<'_, f32>) -> Result<(), SinkError>;
    /// Is told that all is there.
    ///
    /// **Errors**: whatever keeps it from storing.
    fn finish(&mut self) -> Result<(), SinkError>;
}

/// A place for probabilities that goes with its case.
pub(crate) type Sink = Box<dyn ProbabilitySink + Send>;

/// Takes a member's next planes, `[K, Y, Z]` each.
pub(crate) type TakePlanes<'a> = dyn FnMut(usize, Vec<Array3<f32>>) -> Result<(), EngineError> + 'a;

/// What it takes to bring the predictions of a case back to its grid.
pub(crate) struct Finishing {
    pub(crate) plan: Arc<DeployPlan>,
    /// Head and weight of each.
    pub(crate) members: Vec<(Option<Head>, f64)>,
    pub(crate) combine: Combine,
    pub(crate) trace: Trace,
    pub(crate) probabilities: Option<Sink>,
}

/// Labels of a case.
pub(crate) struct Finished {
    pub(crate) labels: LabelMap,
    /// Time that it took to come to them from planes.
    pub(crate) time: Duration,
}

impl Finishing {
    /// Takes the planes that `feed` hands over, until it returns.
    ///
    /// **Errors**: the grids cannot be related, probabilities not be stored, or `feed` fails.
    pub(crate) fn run(
        mut self,
        feed: impl FnOnce(&mut TakePlanes<'_>) -> Result<(), EngineError>,
    ) -> Result<Finished, EngineError> {
        let values = self.plan.label_values();
        let sink = self.probabilities.as_mut();
        let mut finisher = Finisher {
            plan: &self.plan,
            joint: Joint {
                combine: self.combine,
                planes: VecDeque::new(),
                taken: vec![0; self.members.len()],
                done: 0,
            },
            members: &self.members,
            output: Restoring::new(&self.trace, &self.plan, &values, sink)?,
            time: Duration::ZERO,
        };
        feed(&mut |member, planes| finisher.take(member, planes))?;
        let finished = finisher.finish()?;
        if let Some(mut sink) = self.probabilities {
            sink.finish().map_err(EngineError::Probabilities)?;
        }
        Ok(finished)
    }
}

/// What becomes of the planes that members have completed.
struct Finisher<'a> {
    plan: &'a DeployPlan,
    /// Head and weight of each.
    members: &'a [(Option<Head>, f64)],
    joint: Joint,
    output: Restoring<'a>,
    time: Duration,
}

impl Finisher<'_> {
    /// Takes a member's next planes.
    fn take(&mut self, member: usize, planes: Vec<Array3<f32>>) -> Result<(), EngineError> {
        let begin = Instant::now();
        let (head, weight) = &self.members[member];
        let complete = self
            .joint
            .add(member, planes, head.as_ref(), *weight, self.plan)?;
        self.output.push(complete)?;
        self.time += begin.elapsed();
        Ok(())
    }

    fn finish(self) -> Result<Finished, EngineError> {
        let begin = Instant::now();
        Ok(Finished {
            labels: self.output.finish()?,
            time: self.time + begin.elapsed(),
        })
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
struct Restoring<'a> {
    restorer: Restorer<'a>,
    probabilities: Option<&'a mut Sink>,
}

impl<'a> Restoring<'a> {
    fn new(
        trace: &'a Trace,
        plan: &DeployPlan,
        values: &'a [u16],
        mut probabilities: Option<&'a mut Sink>,
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
    probabilities: &mut Option<&mut Sink>,
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
