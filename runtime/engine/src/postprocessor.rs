//! Postprocessing: from complete planes of all members to labels on the input's grid.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ndarray::{Array3, ArrayView4};
use rayon::prelude::*;
use vesal_bundle::DeployPlan;
use vesal_onnx::Head;
use vesal_volume::postprocess::{Combination, Combine, map_features};
use vesal_volume::preprocess::{AppliedTransforms, BlockConsumer, Inverter, PreprocessError};
use vesal_volume::{Geometry, LabelMap};

use crate::error::{EngineError, SinkError};

/// Where probabilities go as they are made, so that they need not exist in memory.
pub trait ProbabilitySink {
    /// Starts with the number of classes, the input's grid, and the axis along which blocks follow each other.
    ///
    /// **Errors**: those of the implementation: storing fails.
    fn begin(&mut self, classes: usize, grid: &Geometry, axis: usize) -> Result<(), SinkError>;

    /// Takes a block `[K, X, Y, Z]` that begins at voxel `start` of the input's grid. Voxels of no block are 0.
    ///
    /// **Errors**: storing fails.
    fn write(&mut self, start: [usize; 3], block: ArrayView4<'_, f32>) -> Result<(), SinkError>;

    /// Ends after the last block.
    ///
    /// **Errors**: storing fails.
    fn finish(&mut self) -> Result<(), SinkError>;
}

/// A sink that may move to another thread with its case.
pub(crate) type Sink = Box<dyn ProbabilitySink + Send>;

/// Takes a member's next planes, `[K, Y, Z]` each.
pub(crate) type PlaneConsumer<'a> =
    dyn FnMut(usize, Vec<Array3<f32>>) -> Result<(), EngineError> + 'a;

/// What postprocessing of a case needs.
pub(crate) struct PostprocessRequest {
    pub(crate) plan: Arc<DeployPlan>,
    /// Head and weight of each member.
    pub(crate) members: Vec<(Option<Head>, f64)>,
    pub(crate) combine: Combine,
    pub(crate) transforms: AppliedTransforms,
    pub(crate) probabilities: Option<Sink>,
}

/// Labels of a case, and the time that combining and inverting took.
pub(crate) struct Postprocessed {
    pub(crate) labels: LabelMap,
    pub(crate) time: Duration,
}

impl PostprocessRequest {
    /// Postprocesses the planes that `feed` hands over, until it returns.
    ///
    /// **Errors**: the grids cannot be related, probabilities cannot be stored, or `feed` fails.
    pub(crate) fn run(
        mut self,
        feed: impl FnOnce(&mut PlaneConsumer<'_>) -> Result<(), EngineError>,
    ) -> Result<Postprocessed, EngineError> {
        let values = self.plan.label_values();
        let sink = self.probabilities.as_mut();
        let mut postprocessor = Postprocessor {
            plan: &self.plan,
            accumulator: EnsembleAccumulator {
                combine: self.combine,
                planes: VecDeque::new(),
                taken: vec![0; self.members.len()],
                done: 0,
            },
            members: &self.members,
            output: SinkInverter::new(&self.transforms, &self.plan, &values, sink)?,
            time: Duration::ZERO,
        };
        feed(&mut |member, planes| postprocessor.take(member, planes))?;
        let done = postprocessor.finish()?;
        if let Some(mut sink) = self.probabilities {
            sink.finish().map_err(EngineError::Probabilities)?;
        }
        Ok(done)
    }
}

/// Combines complete planes of the members, and inverts the preprocessing on them.
struct Postprocessor<'a> {
    plan: &'a DeployPlan,
    /// Head and weight of each member.
    members: &'a [(Option<Head>, f64)],
    accumulator: EnsembleAccumulator,
    output: SinkInverter<'a>,
    time: Duration,
}

impl Postprocessor<'_> {
    /// Takes a member's next planes.
    fn take(&mut self, member: usize, planes: Vec<Array3<f32>>) -> Result<(), EngineError> {
        let begin = Instant::now();
        let (head, weight) = &self.members[member];
        let complete = self
            .accumulator
            .add(member, planes, head.as_ref(), *weight, self.plan)?;
        self.output.push(complete)?;
        self.time += begin.elapsed();
        Ok(())
    }

    fn finish(self) -> Result<Postprocessed, EngineError> {
        let begin = Instant::now();
        Ok(Postprocessed {
            labels: self.output.finish()?,
            time: self.time + begin.elapsed(),
        })
    }
}

/// Sums over members of planes that some members have completed and others have not.
struct EnsembleAccumulator {
    combine: Combine,
    planes: VecDeque<Combination>,
    /// Planes taken from each member.
    taken: Vec<usize>,
    /// Planes that all members have completed.
    done: usize,
}

impl EnsembleAccumulator {
    /// Adds a member's next planes, `[K, Y, Z]` after its head, if it has one; returns the combined planes that all members
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

/// Inverts preprocessing, and stores probabilities where a sink is given.
struct SinkInverter<'a> {
    inverter: Inverter<'a>,
    probabilities: Option<&'a mut Sink>,
}

impl<'a> SinkInverter<'a> {
    fn new(
        transforms: &'a AppliedTransforms,
        plan: &DeployPlan,
        values: &'a [u16],
        mut probabilities: Option<&'a mut Sink>,
    ) -> Result<Self, EngineError> {
        if let Some(sink) = &mut probabilities {
            sink.begin(values.len(), &transforms.input, transforms.plane_axis())
                .map_err(EngineError::Probabilities)?;
        }
        Ok(Self {
            inverter: Inverter::new(transforms, plan.activation, values)?,
            probabilities,
        })
    }

    fn push(&mut self, planes: Vec<Array3<f32>>) -> Result<(), EngineError> {
        let inverter = &mut self.inverter;
        storing(&mut self.probabilities, |take| {
            inverter.push_all(planes, take)
        })
    }

    fn finish(mut self) -> Result<LabelMap, EngineError> {
        let inverter = self.inverter;
        storing(&mut self.probabilities, |take| inverter.finish(take))
    }
}

/// Runs a step of the inverter, with the sink as consumer of its blocks, if there is one.
fn storing<T>(
    probabilities: &mut Option<&mut Sink>,
    step: impl FnOnce(Option<&mut BlockConsumer<'_>>) -> Result<T, PreprocessError>,
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
