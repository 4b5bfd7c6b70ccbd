//! Segmenting a case: planes are restored and labeled while later windows are still to be predicted.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use vesal_volume::Volume;
use vesal_volume::window::Blending;

use crate::ensemble::Ensemble;
use crate::error::EngineError;
use crate::inferer::MemberInferer;
use crate::postprocessor::{PlaneConsumer, PostprocessRequest, ProbabilitySink};
use crate::predictor::OnnxPredictor;
use crate::prepared::PreparedCase;
use crate::segmentation::{PendingSegmentation, PostprocessHandle, Segmentation, StageTimes};

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

impl Ensemble {
    /// Segments a case: preprocesses it, lets every member predict it window by window, combines the predictions, and
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
        let case = PreparedCase::new(images, &self.plan)?;
        self.predict_prepared(case, probabilities, progress)?
            .finish()
    }

    /// Lets every member predict a case that is prepared; [`PendingSegmentation::finish`] gives the labels.
    ///
    /// Windows go along X. As soon as no further window reaches a plane, it is combined over the members, resampled onto the
    /// input's grid and reduced to labels: every member holds the logits of as many planes as a window has, and nothing
    /// holds all probabilities. Votes are counted on the plan's grid, and their shares are resampled like probabilities.
    /// Probabilities (of a vote: shares of the votes) go to `probabilities`, block by block. On a GPU the last planes are
    /// still being postprocessed when this returns: the next case need not wait for them.
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
        let PreparedCase {
            volume,
            transforms,
            time,
        } = case;
        let (start, already) = (Instant::now(), self.network_time());
        let concurrent = self.device().is_gpu();
        let (plan, shape) = (Arc::clone(&self.plan), transforms.prepared.shape);
        let heads = self.members.iter();
        let heads = heads.map(|(predictor, weight)| (predictor.head().cloned(), *weight));
        let request = PostprocessRequest {
            plan: Arc::clone(&plan),
            members: heads.collect(),
            combine: self.combine,
            transforms,
            probabilities,
        };
        let blending = Blending::new(shape, &plan.window)?;
        let windows = blending.grid().count();
        let mut inferers = Vec::with_capacity(self.members.len());
        for (member, (predictor, _)) in self.members.iter_mut().enumerate() {
            let inferer =
                MemberInferer::new(volume.data.view(), &plan.window, &blending, predictor);
            inferers.push(inferer.map_err(|source| EngineError::Predict { member, source })?);
        }
        let members = &mut self.members;
        let mut last = start;
        let mut feed = |take: &mut PlaneConsumer<'_>| {
            last = drive(members, &mut inferers, windows, progress, take)?;
            Ok(())
        };
        // A GPU computes while the host combines and restores: no window waits for that, not even the next case's.
        let postprocessing = if concurrent {
            PostprocessHandle::spawn(request, feed)?
        } else {
            PostprocessHandle::Done(request.run(&mut feed)?)
        };
        let network = if inferers.iter().all(MemberInferer::is_queued) {
            last - start
        } else {
            self.network_time() - already
        };
        drop(inferers);
        let restored = match &postprocessing {
            PostprocessHandle::Done(done) => done.time,
            PostprocessHandle::Running(_) => Duration::ZERO,
        };
        let times = StageTimes {
            prepare: time,
            network,
            stitch: start.elapsed().saturating_sub(network + restored),
            restore: restored,
        };
        Ok(PendingSegmentation::new(
            postprocessing,
            volume,
            windows,
            times,
        ))
    }

    /// Time that the networks have taken so far.
    fn network_time(&self) -> Duration {
        self.members
            .iter()
            .map(|(predictor, _)| predictor.run_time())
            .sum()
    }
}

/// Lets all members predict all windows, and hands complete planes to `take`; returns when the last window was done.
fn drive(
    members: &mut [(OnnxPredictor, f64)],
    inferers: &mut [MemberInferer<'_>],
    windows: usize,
    progress: &mut dyn FnMut(Stage) -> ControlFlow<()>,
    take: &mut PlaneConsumer<'_>,
) -> Result<Instant, EngineError> {
    let total_windows = windows * inferers.len();
    let at = |windows| Stage::Network {
        windows,
        total_windows,
    };
    report(progress, at(0))?;
    let mut last = Instant::now();
    while inferers
        .iter()
        .any(|inferer| inferer.progress().done < windows)
    {
        for member in 0..inferers.len() {
            let failed = |source| EngineError::Predict { member, source };
            let (predictor, _) = &mut members[member];
            // Until this member completes a plane; the other members follow.
            let mut taken = 0;
            while taken == 0 && inferers[member].progress().done < windows {
                inferers[member].step(predictor).map_err(failed)?;
                last = Instant::now();
                let done = inferers.iter().map(|inferer| inferer.progress().done).sum();
                report(progress, at(done))?;
                loop {
                    let done = inferers[member].progress().done;
                    let planes = inferers[member].pop(predictor).map_err(failed)?;
                    if inferers[member].progress().done > done {
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
    Ok(last)
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
