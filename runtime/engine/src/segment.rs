//! Segmenting a case: planes are restored and labeled while later windows are still to be predicted.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use vesal_volume::Volume;
use vesal_volume::window::Blending;

use crate::ensemble::Ensemble;
use crate::error::EngineError;
use crate::finish::{Finishing, ProbabilitySink, TakePlanes};
use crate::predictor::OnnxPredictor;
use crate::prepared::PreparedCase;
use crate::segmentation::{Rest, Segmentation, StageTimes, Unfinished};
use crate::walk::MemberWalk;

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
    /// brings the labels back to the grid of the first image; see [`Ensemble::predict_prepared`].
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

    /// Lets every member predict a case that is prepared; what is left to do then is to finish it.
    ///
    /// Windows go along X. As soon as no further window reaches a plane, it is combined over the members, resampled onto the
    /// input's grid and reduced to labels: of the logits, every member holds as many planes as a window has, and
    /// nothing holds all probabilities. Votes are counted on the plan's grid, and their shares brought back like
    /// probabilities. Probabilities (of a vote: shares of the votes) go to `probabilities`, block by block. On a GPU the
    /// last planes are still on that way when this returns: the next case need not wait for them.
    ///
    /// `progress` is called after every batch of windows, and stops the segmentation when it breaks.
    ///
    /// **Errors**: a network fails, probabilities cannot be stored, or [`EngineError::Stopped`].
    pub fn predict_prepared(
        &mut self,
        case: PreparedCase,
        probabilities: Option<Box<dyn ProbabilitySink + Send>>,
        progress: &mut dyn FnMut(Stage) -> ControlFlow<()>,
    ) -> Result<Unfinished, EngineError> {
        let PreparedCase {
            volume,
            trace,
            time,
        } = case;
        let (start, already) = (Instant::now(), self.network_time());
        let beside = self.device().is_gpu();
        let (plan, shape) = (Arc::clone(&self.plan), trace.prepared.shape);
        let heads = self.members.iter();
        let heads = heads.map(|(predictor, weight)| (predictor.head().cloned(), *weight));
        let finishing = Finishing {
            plan: Arc::clone(&plan),
            members: heads.collect(),
            combine: self.combine,
            trace,
            probabilities,
        };
        let blending = Blending::new(shape, &plan.window)?;
        let windows = blending.grid().count();
        let mut walks = Vec::with_capacity(self.members.len());
        for (member, (predictor, _)) in self.members.iter_mut().enumerate() {
            let walk = MemberWalk::new(volume.data.view(), &plan.window, &blending, predictor);
            walks.push(walk.map_err(|source| EngineError::Predict { member, source })?);
        }
        let members = &mut self.members;
        let mut last = start;
        let mut feed = |take: &mut TakePlanes<'_>| {
            last = drive(members, &mut walks, windows, progress, take)?;
            Ok(())
        };
        // A GPU computes while the host combines and restores: no window waits for that, not even the next case's.
        let rest = if beside {
            Rest::beside(finishing, feed)?
        } else {
            Rest::Done(finishing.run(&mut feed)?)
        };
        let network = if walks.iter().all(MemberWalk::is_queued) {
            last - start
        } else {
            self.network_time() - already
        };
        drop(walks);
        let restored = match &rest {
            Rest::Done(finished) => finished.time,
            Rest::Beside(_) => Duration::ZERO,
        };
        let times = StageTimes {
            prepare: time,
            network,
            stitch: start.elapsed().saturating_sub(network + restored),
            restore: restored,
        };
        Ok(Unfinished::new(rest, volume, windows, times))
    }

    /// Time that the networks took so far.
    fn network_time(&self) -> Duration {
        self.members
            .iter()
            .map(|(predictor, _)| predictor.run_time())
            .sum()
    }
}

/// Lets all members predict all windows, and hands over the planes that are complete; gives the time of the last window.
fn drive(
    members: &mut [(OnnxPredictor, f64)],
    walks: &mut [MemberWalk<'_>],
    windows: usize,
    progress: &mut dyn FnMut(Stage) -> ControlFlow<()>,
    take: &mut TakePlanes<'_>,
) -> Result<Instant, EngineError> {
    let total_windows = windows * walks.len();
    let at = |windows| Stage::Network {
        windows,
        total_windows,
    };
    report(progress, at(0))?;
    let mut last = Instant::now();
    while walks.iter().any(|walk| walk.progress().done < windows) {
        for member in 0..walks.len() {
            let failed = |source| EngineError::Predict { member, source };
            let (predictor, _) = &mut members[member];
            // On to the next plane that is complete; the other members follow.
            let mut taken = 0;
            while taken == 0 && walks[member].progress().done < windows {
                walks[member].step(predictor).map_err(failed)?;
                last = Instant::now();
                let done = walks.iter().map(|walk| walk.progress().done).sum();
                report(progress, at(done))?;
                loop {
                    let done = walks[member].progress().done;
                    let planes = walks[member].pop(predictor).map_err(failed)?;
                    if walks[member].progress().done > done {
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
