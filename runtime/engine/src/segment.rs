//! Segmenting a case: planes are restored and labeled while later windows are still to be predicted.

use std::error::Error;
use std::ops::ControlFlow;
use std::panic::resume_unwind;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::{Duration, Instant};

use ndarray::{Array3, Array4, ArrayView4};
use vesal_bundle::DeployPlan;
use vesal_bundle::probe::ProbeInput;
use vesal_volume::preprocess::{Trace, execute};
use vesal_volume::window::Blending;
use vesal_volume::{Affine, Geometry, LabelMap, Volume};

use crate::ensemble::Ensemble;
use crate::error::EngineError;
use crate::finish::Finisher;
use crate::predictor::OnnxPredictor;
use crate::walk::MemberWalk;

/// Layers of planes of each member that may wait to be restored while a GPU goes on.
const LAYERS_WAITING: usize = 1;
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
    /// Combining members, and back to the input's grid; beside the other stages on a GPU.
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
        probabilities: Option<&mut (dyn ProbabilitySink + Send)>,
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
        probabilities: Option<&mut (dyn ProbabilitySink + Send)>,
        progress: &mut dyn FnMut(Stage) -> ControlFlow<()>,
    ) -> Result<Segmentation, EngineError> {
        let PreparedCase {
            volume,
            trace,
            time,
        } = case;
        let (start, already) = (Instant::now(), self.network_time());
        let beside = self.device().is_gpu();
        let plan = &self.plan;
        let values = plan.label_values();
        let heads = self.members.iter();
        let heads = heads.map(|(predictor, weight)| (predictor.head().cloned(), *weight));
        let mut finisher = Finisher::new(
            plan,
            heads.collect(),
            self.combine,
            &trace,
            &values,
            probabilities,
        )?;
        let blending = Blending::new(trace.prepared.shape, &plan.window)?;
        let windows = blending.grid().count();
        let mut walks = Vec::with_capacity(self.members.len());
        for (member, (predictor, _)) in self.members.iter_mut().enumerate() {
            let walk = MemberWalk::new(volume.data.view(), &plan.window, &blending, predictor);
            walks.push(walk.map_err(|source| EngineError::Predict { member, source })?);
        }
        let members = &mut self.members;
        let finished = if beside {
            // A GPU computes while the host combines and restores: no window waits for that.
            thread::scope(|scope| {
                let (send, planes) = sync_channel(LAYERS_WAITING * members.len());
                let finisher = scope.spawn(move || {
                    for (member, planes) in planes {
                        finisher.take(member, planes)?;
                    }
                    finisher.finish()
                });
                let mut failed = false;
                let mut take = |member, planes| {
                    // Whoever does not listen any more has failed, and says so in the end.
                    let taken = send.send((member, planes));
                    failed = taken.is_err();
                    taken.map_err(|_| EngineError::Stopped)
                };
                let driven = drive(members, &mut walks, windows, progress, &mut take);
                drop(send);
                let finished = finisher.join().unwrap_or_else(|panic| resume_unwind(panic));
                match driven {
                    Err(error) if !failed => Err(error),
                    _ => finished,
                }
            })?
        } else {
            let mut take = |member, planes| finisher.take(member, planes);
            drive(members, &mut walks, windows, progress, &mut take)?;
            finisher.finish()?
        };
        let (labels, restore) = finished;
        drop(walks);
        drop(volume);
        let network = self.network_time() - already;
        let beside = if beside { Duration::ZERO } else { restore };
        Ok(Segmentation {
            labels,
            windows,
            times: StageTimes {
                prepare: time,
                network,
                stitch: start.elapsed().saturating_sub(network + beside),
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

/// Lets all members predict all windows, and hands over the planes that are complete.
fn drive(
    members: &mut [(OnnxPredictor, f64)],
    walks: &mut [MemberWalk<'_>],
    windows: usize,
    progress: &mut dyn FnMut(Stage) -> ControlFlow<()>,
    take: &mut dyn FnMut(usize, Vec<Array3<f32>>) -> Result<(), EngineError>,
) -> Result<(), EngineError> {
    let total_windows = windows * walks.len();
    let at = |windows| Stage::Network {
        windows,
        total_windows,
    };
    report(progress, at(0))?;
    while walks.iter().any(|walk| walk.progress().done < windows) {
        for member in 0..walks.len() {
            let failed = |source| EngineError::Predict { member, source };
            let (predictor, _) = &mut members[member];
            // On to the next plane that is complete; the other members follow.
            let mut taken = 0;
            while taken == 0 && walks[member].progress().done < windows {
                walks[member].step(predictor).map_err(failed)?;
                let done = walks.iter().map(|walk| walk.progress().done).sum();
                report(progress, at(done))?;
                loop {
                    let planes = walks[member].pop_some(predictor).map_err(failed)?;
                    if planes.is_empty() {
                        break;
                    }
                    taken += planes.len();
                    take(member, planes)?;
                }
            }
        }
    }
    Ok(())
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
