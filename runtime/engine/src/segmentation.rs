//! Segmented cases, and cases whose last planes are still being postprocessed.

use std::fmt;
use std::panic::resume_unwind;
use std::sync::mpsc::sync_channel;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use vesal_volume::{LabelMap, Volume};

use crate::error::EngineError;
use crate::postprocess::{PlaneConsumer, PostprocessRequest, Postprocessed};

/// Plane batches of each member that may wait for postprocessing while the GPU continues.
pub(crate) const MAX_PENDING_BATCHES: usize = 3;

/// Time of each stage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StageTimes {
    pub prepare: Duration,
    /// The networks; on a GPU that cuts and blends windows, that as well.
    pub network: Duration,
    /// Cutting windows and blending outputs; on a GPU that does this, the part after the last window.
    pub stitch: Duration,
    /// Combining members and inverting preprocessing; on a GPU concurrent with the other stages.
    pub restore: Duration,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Segmentation {
    /// Labels on the grid of the first image; regions are bits.
    pub labels: LabelMap,
    /// Windows that each member predicted; the sum over plans.
    pub windows: usize,
    pub times: StageTimes,
}

/// Windows of a case.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Windows {
    /// Of one member of each plan.
    pub(crate) by_plan: usize,
    /// Windows of all members.
    pub(crate) total: usize,
}

/// A case whose windows are all predicted: on a GPU its last planes are postprocessed on another thread, while the next case
/// is predicted.
///
/// Dropping it waits for that thread.
#[must_use = "it has no labels before it is finished"]
pub struct PendingSegmentation {
    postprocessing: Option<PostprocessHandle>,
    /// The prepared volume, freed in `finish`, so that the GPU does not wait for that.
    spent: Vec<Volume>,
    windows: Windows,
    times: StageTimes,
}

/// Postprocessing of a case, done or running.
pub(crate) enum PostprocessHandle {
    Done(Postprocessed),
    /// On a thread of its own.
    Running(JoinHandle<Result<Postprocessed, EngineError>>),
}

impl PostprocessHandle {
    /// Postprocesses the planes that `feed` passes on another thread, and returns once all were passed.
    ///
    /// **Errors**: `feed` fails, or the thread fails before all planes were passed.
    pub(crate) fn spawn(
        request: PostprocessRequest,
        feed: impl FnOnce(&mut PlaneConsumer<'_>) -> Result<(), EngineError>,
    ) -> Result<Self, EngineError> {
        let (send, batches) = sync_channel(MAX_PENDING_BATCHES * request.members.len());
        let thread = thread::spawn(move || {
            request.run(|take| {
                batches
                    .into_iter()
                    .try_for_each(|(member, planes)| take(member, planes))
            })
        });
        let mut failed = false;
        let fed = feed(&mut |member, planes| {
            // The receiver is gone only after an error, which `finish` returns.
            let sent = send.send((member, planes));
            failed = sent.is_err();
            sent.map_err(|_| EngineError::Stopped)
        });
        drop(send);
        let handle = Self::Running(thread);
        match fed {
            Ok(()) => Ok(handle),
            Err(error) => match handle.finish() {
                Err(reason) if failed => Err(reason),
                _ => Err(error),
            },
        }
    }

    fn finish(self) -> Result<Postprocessed, EngineError> {
        match self {
            Self::Done(done) => Ok(done),
            Self::Running(thread) => thread.join().unwrap_or_else(|panic| resume_unwind(panic)),
        }
    }
}

impl PendingSegmentation {
    pub(crate) fn new(
        postprocessing: PostprocessHandle,
        spent: Vec<Volume>,
        windows: Windows,
        times: StageTimes,
    ) -> Self {
        Self {
            spent: match postprocessing {
                PostprocessHandle::Running(_) => spent,
                PostprocessHandle::Done(_) => Vec::new(),
            },
            postprocessing: Some(postprocessing),
            windows,
            times,
        }
    }

    /// Windows that all members predicted.
    pub fn total_windows(&self) -> usize {
        self.windows.total
    }

    /// Waits for the labels and for the storing of probabilities.
    ///
    /// **Errors**: the predictions give no labels, or probabilities cannot be stored.
    pub fn finish(mut self) -> Result<Segmentation, EngineError> {
        self.spent.clear();
        let postprocessing = self.postprocessing.take().ok_or(EngineError::Stopped)?;
        let Postprocessed { labels, time } = postprocessing.finish()?;
        let times = StageTimes {
            restore: time,
            ..self.times
        };
        Ok(Segmentation {
            labels,
            windows: self.windows.by_plan,
            times,
        })
    }
}

impl Drop for PendingSegmentation {
    fn drop(&mut self) {
        if let Some(PostprocessHandle::Running(thread)) = self.postprocessing.take() {
            // Its result is discarded.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for PendingSegmentation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("PendingSegmentation")
            .field("windows", &self.windows)
            .field("times", &self.times)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ndarray::{Array3, Array4, ArrayView4};
    use vesal_bundle::deploy_plan::{Activation, Channel, DeployPlan, Label, Modality};
    use vesal_volume::postprocess::Combine;
    use vesal_volume::preprocess::execute;
    use vesal_volume::window::{Blend, Padding, WindowPlan};
    use vesal_volume::{Affine, Geometry};

    use super::*;
    use crate::error::SinkError;
    use crate::postprocess::{Place, PredictedMember, Prediction, Predictions, ProbabilitySink};

    const WINDOWS: Windows = Windows {
        by_plan: 1,
        total: 1,
    };

    fn plan() -> DeployPlan {
        let label = |class_index| {
            Label::new(
                format!("class {class_index}"),
                [0, 7][class_index],
                class_index,
            )
        };
        DeployPlan {
            restore: Default::default(),
            name: "two".into(),
            channels: vec![Channel::new("image", Modality::Mri)],
            labels: (0..2).map(label).collect(),
            activation: Activation::Softmax,
            preprocessing: Vec::new(),
            window: WindowPlan {
                size: [2, 1, 1],
                overlap: [0.5; 3],
                blend: Blend::Constant,
                padding: Padding::Constant(0.),
            },
        }
    }

    /// A case of `[2, 1, 1]` voxels.
    fn volume() -> Volume {
        Volume {
            data: Array4::zeros((1, 2, 1, 1)),
            affine: Affine::IDENTITY,
        }
    }

    fn request(probabilities: Option<Box<dyn ProbabilitySink + Send>>) -> PostprocessRequest {
        let (_, transforms) = execute(vec![volume()], &[]).expect("no steps");
        PostprocessRequest {
            members: vec![PredictedMember {
                head: None,
                weight: 1.0,
            }],
            predictions: Predictions {
                place: Place::PreparedGrid,
                predictions: vec![Prediction {
                    plan: Arc::new(plan()),
                    transforms,
                    members: vec![0],
                }],
            },
            combine: Combine::Mean,
            probabilities,
        }
    }

    fn plane(logits: [f32; 2]) -> Array3<f32> {
        Array3::from_shape_vec((2, 1, 1), logits.to_vec()).expect("of that shape")
    }

    struct Full;

    impl ProbabilitySink for Full {
        fn begin(&mut self, _: usize, _: &Geometry, _: usize) -> Result<(), SinkError> {
            Err("full".into())
        }

        fn write(&mut self, _: [usize; 3], _: ArrayView4<'_, f32>) -> Result<(), SinkError> {
            Ok(())
        }

        fn finish(&mut self) -> Result<(), SinkError> {
            Ok(())
        }
    }

    #[test]
    fn planes_that_wait_become_labels() {
        let handle = PostprocessHandle::spawn(request(None), |take| {
            take(0, vec![plane([0.0, 1.0])])?;
            take(0, vec![plane([1.0, 0.0])])
        });
        let handle = handle.expect("fed");
        let found =
            PendingSegmentation::new(handle, vec![volume()], WINDOWS, StageTimes::default())
                .finish();
        let labels = found.expect("finished").labels.data;
        assert_eq!(labels.iter().copied().collect::<Vec<_>>(), [7, 0]);
    }

    #[test]
    fn what_has_failed_first_is_told() {
        let sink = Box::new(Full);
        let error = PostprocessHandle::spawn(request(Some(sink)), |take| {
            // Some batches are queued before the failure is noticed.
            (0..1000).try_for_each(|_| take(0, vec![plane([0.0, 1.0])]))
        });
        let error = error.err().expect("nobody takes them");
        assert!(matches!(error, EngineError::Probabilities(_)), "{error:?}");

        let error = PostprocessHandle::spawn(request(None), |take| {
            take(0, vec![plane([0.0, 1.0])])?;
            Err(EngineError::NoMembers)
        });
        let error = error.err().expect("the feed failed");
        assert!(matches!(error, EngineError::NoMembers), "{error:?}");
    }

    #[test]
    fn a_case_without_all_its_planes_has_no_labels() {
        let handle =
            PostprocessHandle::spawn(request(None), |take| take(0, vec![plane([0.0, 1.0])]));
        let handle = handle.expect("fed");
        let found =
            PendingSegmentation::new(handle, vec![volume()], WINDOWS, StageTimes::default())
                .finish();
        let error = found.expect_err("a plane is missing");
        assert!(matches!(error, EngineError::Preprocess(_)), "{error:?}");
    }
}
