//! Segmenting a case: planes are restored and labeled while later windows are still being predicted.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use vesal_volume::Volume;
use vesal_volume::window::Blending;

use crate::ensemble::Ensemble;
use crate::error::EngineError;
use crate::inferer::MemberInferer;
use crate::postprocess::{
    Passed, PlaneConsumer, PostprocessRequest, PredictedMember, Predictions, ProbabilitySink,
};
use crate::predictor::OnnxPredictor;
use crate::prepared::PreparedCase;
use crate::segmentation::{
    PendingSegmentation, PostprocessHandle, Segmentation, StageTimes, Windows,
};

/// Stage of a segmentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Prepare,
    /// Windows are predicted, and complete planes are postprocessed.
    Network {
        /// Windows done, over all members.
        windows: usize,
        /// Windows in all, over all members.
        total_windows: usize,
    },
}

impl Ensemble {
    /// Segments a case: preprocesses it, predicts it window by window with every member, combines the predictions, and
    /// resamples the labels onto the grid of the first image; see [`Ensemble::predict_prepared`].
    ///
    /// **Errors**: the case does not fit the plan, a network fails, or [`EngineError::Stopped`].
    pub fn segment(
        &mut self,
        images: Vec<Volume>,
        probabilities: Option<Box<dyn ProbabilitySink + Send>>,
        progress: &mut dyn FnMut(Stage) -> ControlFlow<()>,
    ) -> Result<Segmentation, EngineError> {
        report(progress, Stage::Prepare)?;
        let case = PreparedCase::new(images, &self.groups)?;
        self.predict_prepared(case, probabilities, progress)?
            .finish()
    }

    /// Predicts a preprocessed case with every member; [`PendingSegmentation::finish`] gives the labels.
    ///
    /// Windows go along X. As soon as no further window reaches a plane, it is combined over the members, resampled
    /// onto the input's grid and reduced to labels: every member holds the logits of as many planes as a window has,
    /// and probabilities never exist as a whole. Votes are counted on the plan's grid, and their shares are resampled
    /// like probabilities.
    ///
    /// Where there are several plans, or where a plan restores logits, windows go along the axis of the input that the first
    /// plan's X axis follows, all plans in step, and members are combined on the input's grid.
    ///
    /// Probabilities (of a vote: shares of the votes) go to `probabilities`, block by block. On a GPU, the last planes
    /// may still be postprocessed when this returns, so that the next case can begin.
    ///
    /// `progress` is called after every batch of windows, and stops the segmentation when it breaks.
    ///
    /// **Errors**: a network fails, probabilities cannot be stored, or [`EngineError::Stopped`].
    pub fn predict_prepared(
        &mut self,
        case: PreparedCase,
        probabilities: Option<Box<dyn ProbabilitySink + Send>>,
        progress: &mut dyn FnMut(Stage) -> ControlFlow<()>,
    ) -> Result<PendingSegmentation, EngineError> {
        if case.images.len() != self.groups.len() {
            return Err(EngineError::Groups {
                found: case.images.len(),
                expected: self.groups.len(),
            });
        }
        let (start, already) = (Instant::now(), self.network_time());
        let concurrent = self.device().is_gpu();
        let predictions = Predictions::new(self, &case);
        let mut blendings = Vec::with_capacity(self.groups.len());
        for (group, image) in self.groups.iter().zip(&case.images) {
            let traversal = predictions.traversal(&image.transforms);
            let shape = image.transforms.prepared.shape;
            blendings.push(Blending::traversed(shape, &group.plan.window, traversal)?);
        }
        let members = self
            .members
            .iter()
            .map(|(predictor, weight)| PredictedMember {
                head: predictor.head().cloned(),
                weight: *weight,
            });
        let request = PostprocessRequest {
            members: members.collect(),
            predictions,
            combine: self.combine,
            probabilities,
        };
        let mut walks = self.walks(&case, &blendings, &request.predictions)?;
        let windows = walks.iter().map(|walk| walk.windows).sum();
        let total_windows = walks.iter().map(Walk::total_windows).sum();
        let members = &mut self.members;
        let mut last = start;
        let mut feed = |take: &mut PlaneConsumer<'_>| {
            last = drive(members, &mut walks, total_windows, progress, take)?;
            Ok(())
        };
        // The GPU computes while the host postprocesses, including windows of the next case.
        let postprocessing = if concurrent {
            PostprocessHandle::spawn(request, feed)?
        } else {
            PostprocessHandle::Done(request.run(&mut feed)?)
        };
        let mut inferers = walks.iter().flat_map(|walk| &walk.inferers);
        let network = if inferers.all(MemberInferer::is_queued) {
            last - start
        } else {
            self.network_time() - already
        };
        drop(walks);
        let restored = match &postprocessing {
            PostprocessHandle::Done(done) => done.time,
            PostprocessHandle::Running(_) => Duration::ZERO,
        };
        let times = StageTimes {
            prepare: case.time,
            network,
            stitch: start.elapsed().saturating_sub(network + restored),
            restore: restored,
        };
        let spent = case.images.into_iter().map(|image| image.volume);
        Ok(PendingSegmentation::new(
            postprocessing,
            spent.collect(),
            Windows {
                by_plan: windows,
                total: total_windows,
            },
            times,
        ))
    }

    /// Starts the inferers of all members.
    fn walks<'a>(
        &mut self,
        case: &'a PreparedCase,
        blendings: &'a [Blending],
        predictions: &Predictions,
    ) -> Result<Vec<Walk<'a>>, EngineError> {
        let mut walks = Vec::with_capacity(self.groups.len());
        let groups = self.groups.iter().zip(&case.images).zip(blendings);
        for ((group, image), blending) in groups {
            let mut inferers = Vec::with_capacity(group.members.len());
            for &member in &group.members {
                let (predictor, _) = &mut self.members[member];
                let volume = image.volume.data.view();
                let inferer = MemberInferer::new(volume, &group.plan.window, blending, predictor);
                inferers.push(inferer.map_err(|source| EngineError::Predict { member, source })?);
            }
            walks.push(Walk {
                members: group.members.clone(),
                inferers,
                windows: blending.grid().count(),
                blending,
                passed: predictions.passed(&image.transforms),
            });
        }
        Ok(walks)
    }

    /// Time of the networks so far.
    fn network_time(&self) -> Duration {
        self.members
            .iter()
            .map(|(predictor, _)| predictor.run_time())
            .sum()
    }
}

/// The members of a plan during inference.
struct Walk<'a> {
    members: Vec<usize>,
    inferers: Vec<MemberInferer<'a>>,
    /// Windows of each member.
    windows: usize,
    blending: &'a Blending,
    passed: Passed,
}

impl Walk<'_> {
    fn total_windows(&self) -> usize {
        self.windows * self.members.len()
    }

    fn done(&self) -> usize {
        let done = self.inferers.iter().map(|inferer| inferer.progress().done);
        done.sum()
    }

    fn is_done(&self) -> bool {
        self.done() == self.total_windows()
    }

    /// Planes of the input that all members have passed.
    fn passed(&self) -> f64 {
        let done = self.inferers.iter().map(|inferer| inferer.progress().done);
        let complete = self.blending.complete_planes(done.min().unwrap_or(0));
        self.passed.after(complete)
    }
}

/// Predicts all windows with all members, the plans in step, and passes complete planes to `take`; returns after the
/// last window.
fn drive(
    members: &mut [(OnnxPredictor, f64)],
    walks: &mut [Walk<'_>],
    total_windows: usize,
    progress: &mut dyn FnMut(Stage) -> ControlFlow<()>,
    take: &mut PlaneConsumer<'_>,
) -> Result<Instant, EngineError> {
    let at = |windows| Stage::Network {
        windows,
        total_windows,
    };
    report(progress, at(0))?;
    let mut last = Instant::now();
    let mut done = 0;
    loop {
        // The plan that is furthest behind continues, so that few planes are held.
        let behind = |&index: &usize| !walks[index].is_done();
        let next = (0..walks.len())
            .filter(behind)
            .min_by(|&a, &b| walks[a].passed().total_cmp(&walks[b].passed()));
        let Some(index) = next else {
            return Ok(last);
        };
        let walk = &mut walks[index];
        for (inferer, &member) in walk.inferers.iter_mut().zip(&walk.members) {
            let failed = |source| EngineError::Predict { member, source };
            let (predictor, _) = &mut members[member];
            // Continues until this member completes a plane; the other members follow.
            let mut taken = 0;
            while taken == 0 && inferer.progress().done < walk.windows {
                let before = inferer.progress().done;
                inferer.step(predictor).map_err(failed)?;
                last = Instant::now();
                done += inferer.progress().done - before;
                report(progress, at(done))?;
                loop {
                    let before = inferer.progress().done;
                    let planes = inferer.pop(predictor).map_err(failed)?;
                    if inferer.progress().done > before {
                        done += inferer.progress().done - before;
                        last = Instant::now();
                    }
                    if planes.is_empty() {
                        break;
                    }
                    taken += planes.len();
                    take(member, planes)?;
                }
            }
        }
    }
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
