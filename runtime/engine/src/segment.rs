//! Segmenting a case: planes are restored and labeled while later windows are still to be predicted.

use std::collections::VecDeque;
use std::error::Error;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use ndarray::{Array3, Array4, ArrayView4};
use rayon::prelude::*;
use vesal_bundle::DeployPlan;
use vesal_bundle::probe::ProbeInput;
use vesal_onnx::Head;
use vesal_volume::postprocess::{Combination, Combine, map_features};
use vesal_volume::preprocess::{PreprocessError, Restorer, Trace, execute};
use vesal_volume::window::Blending;
use vesal_volume::{Affine, Geometry, LabelMap, Volume};

use crate::ensemble::Ensemble;
use crate::error::EngineError;
use crate::walk::MemberWalk;

/// Seed of made-up cases.
const SEED: u32 = 1543;

/// Why probabilities cannot be stored.
pub type SinkError = Box<dyn Error + Send + Sync>;

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
}

/// Where a segmentation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Preprocessing.
    Prepare,
    /// Windows are predicted, and what they complete is restored.
    Network {
        /// Windows done, over all members.
        windows: usize,
        /// Windows in all, over all members.
        total_windows: usize,
    },
}

/// Time of each stage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StageTimes {
    /// Preprocessing.
    pub prepare: Duration,
    /// The networks alone; on a GPU, waiting for them.
    pub network: Duration,
    /// Cutting windows and blending outputs.
    pub stitch: Duration,
    /// Combining members, and back to the input's grid.
    pub restore: Duration,
}

/// A segmented case.
#[derive(Debug, Clone, PartialEq)]
pub struct Segmentation {
    /// Labels on the grid of the first image; regions are bits.
    pub labels: LabelMap,
    /// Windows that each member predicted.
    pub windows: usize,
    /// Time of each stage.
    pub times: StageTimes,
}

/// A case that is ready for the networks.
#[derive(Debug, Clone)]
pub struct PreparedCase {
    volume: Volume,
    trace: Trace,
    time: Duration,
}

impl PreparedCase {
    /// Preprocesses the images of a case.
    ///
    /// **Shapes**: images `[C, X, Y, Z]` with as many channels each as [`DeployPlan::image_channels`] says.
    ///
    /// **Errors**: the case does not fit the plan.
    pub fn new(images: Vec<Volume>, plan: &DeployPlan) -> Result<Self, EngineError> {
        let (found, expected) = (images.iter().map(Volume::channels).sum(), &plan.channels);
        if found != expected.len() {
            let expected = expected
                .iter()
                .map(|channel| channel.name.clone())
                .collect();
            return Err(EngineError::Channels { found, expected });
        }
        let start = Instant::now();
        let (volume, trace) = execute(images, &plan.preprocessing)?;
        let time = start.elapsed();
        Ok(Self {
            volume,
            trace,
            time,
        })
    }

    /// Makes up a case of as many windows in a row, of noise as in probes: networks take as long for it as for any other.
    ///
    /// **Errors**: a case so long cannot be made.
    pub fn made_up(plan: &DeployPlan, windows: usize) -> Result<Self, EngineError> {
        let [x, y, z] = plan.window.size;
        let step = (x as f64 * (1.0 - plan.window.overlap[0])) as usize;
        let x = x + step.max(1) * windows.saturating_sub(1);
        let noise = ProbeInput::new(SEED, plan.channels.len(), [x, y, z]);
        let data = Array4::from_shape_vec((plan.channels.len(), x, y, z), noise.values())?;
        let start = Instant::now();
        let affine = Affine::from_spacing([1.0; 3]);
        let (volume, trace) = execute(vec![Volume { data, affine }], &[])?;
        Ok(Self {
            volume,
            trace,
            time: start.elapsed(),
        })
    }

    /// Shape that the networks see, `[X, Y, Z]`.
    pub fn shape(&self) -> [usize; 3] {
        self.trace.prepared.shape
    }
}

impl Ensemble {
    /// Segments a case: preprocesses it, lets every member predict it window by window, combines the predictions, and
    /// brings the labels back to the grid of the first image; see [`Ensemble::segment_prepared`].
    ///
    /// **Errors**: the case does not fit the plan, a network fails, or [`EngineError::Stopped`].
    pub fn segment(
        &mut self,
        images: Vec<Volume>,
        probabilities: Option<&mut dyn ProbabilitySink>,
        progress: &mut dyn FnMut(Stage) -> ControlFlow<()>,
    ) -> Result<Segmentation, EngineError> {
        report(progress, Stage::Prepare)?;
        let case = PreparedCase::new(images, &self.plan)?;
        self.segment_prepared(case, probabilities, progress)
    }

    /// Segments a case that is prepared.
    ///
    /// Windows go along X. As soon as no further window reaches a plane, it is combined over the members, resampled onto the
    /// input's grid and reduced to labels: of the logits, every member holds as many planes as a window has, and
    /// nothing holds all probabilities. Votes are counted on the plan's grid, and their shares brought back like
    /// probabilities. Probabilities (of a vote: shares of the votes) go to `probabilities`, block by block.
    ///
    /// `progress` is called after every batch of windows, and stops the segmentation when it breaks.
    ///
    /// **Errors**: a network fails, probabilities cannot be stored, or [`EngineError::Stopped`].
    pub fn segment_prepared(
        &mut self,
        case: PreparedCase,
        probabilities: Option<&mut dyn ProbabilitySink>,
        progress: &mut dyn FnMut(Stage) -> ControlFlow<()>,
    ) -> Result<Segmentation, EngineError> {
        let PreparedCase {
            volume,
            trace,
            time,
        } = case;
        let plan = &self.plan;
        let (start, already) = (Instant::now(), self.network_time());
        let values = plan.label_values();
        let mut output = Restoring::new(&trace, plan, &values, probabilities)?;
        let mut joint = Joint {
            combine: self.combine,
            planes: VecDeque::new(),
            taken: vec![0; self.members.len()],
            done: 0,
        };
        let mut restore = Duration::ZERO;

        let blending = Blending::new(trace.prepared.shape, &plan.window)?;
        let windows = blending.grid().count();
        let total_windows = windows * self.members.len();
        let mut walks = Vec::with_capacity(self.members.len());
        for (member, (predictor, _)) in self.members.iter_mut().enumerate() {
            let walk = MemberWalk::new(volume.data.view(), &plan.window, &blending, predictor);
            walks.push(walk.map_err(|source| EngineError::Predict { member, source })?);
        }
        let begun = Stage::Network {
            windows: 0,
            total_windows,
        };
        report(progress, begun)?;
        while walks.iter().any(|walk| walk.progress().done < windows) {
            for member in 0..walks.len() {
                let failed = |source| EngineError::Predict { member, source };
                let (predictor, weight) = &mut self.members[member];
                // On to the next plane that is complete; the other members follow.
                let taken = joint.taken[member];
                while joint.taken[member] == taken && walks[member].progress().done < windows {
                    walks[member].step(predictor).map_err(failed)?;
                    let done = walks.iter().map(|walk| walk.progress().done).sum();
                    report(
                        progress,
                        Stage::Network {
                            windows: done,
                            total_windows,
                        },
                    )?;
                    loop {
                        let planes = walks[member].pop_some(predictor).map_err(failed)?;
                        if planes.is_empty() {
                            break;
                        }
                        let begin = Instant::now();
                        let complete =
                            joint.add(member, planes, predictor.head(), *weight, plan)?;
                        output.push(complete)?;
                        restore += begin.elapsed();
                    }
                }
            }
        }
        drop(walks);
        drop(volume);
        let begin = Instant::now();
        let labels = output.finish()?;
        restore += begin.elapsed();
        let network = self.network_time() - already;
        Ok(Segmentation {
            labels,
            windows,
            times: StageTimes {
                prepare: time,
                network,
                stitch: start.elapsed().saturating_sub(network + restore),
                restore,
            },
        })
    }

    /// Time that the networks took so far.
    fn network_time(&self) -> Duration {
        self.members
            .iter()
            .map(|(predictor, _)| predictor.run_time())
            .sum()
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
    probabilities: Option<&'s mut dyn ProbabilitySink>,
}

impl<'a, 's> Restoring<'a, 's> {
    fn new(
        trace: &'a Trace,
        plan: &DeployPlan,
        values: &'a [u16],
        mut probabilities: Option<&'s mut dyn ProbabilitySink>,
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
    probabilities: &mut Option<&mut dyn ProbabilitySink>,
    step: impl FnOnce(
        Option<&mut vesal_volume::preprocess::TakeBlock<'_>>,
    ) -> Result<T, PreprocessError>,
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

fn report(
    progress: &mut dyn FnMut(Stage) -> ControlFlow<()>,
    stage: Stage,
) -> Result<(), EngineError> {
    match progress(stage) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(EngineError::Stopped),
    }
}
