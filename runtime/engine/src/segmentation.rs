//! What becomes of cases that are predicted: the last planes may still be on their way to labels.

use std::fmt;
use std::panic::resume_unwind;
use std::sync::mpsc::sync_channel;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use vesal_volume::{LabelMap, Volume};

use crate::error::EngineError;
use crate::finish::{Finished, Finishing, TakePlanes};

/// Lots of planes of each member that may wait to be restored while a GPU goes on.
pub(crate) const LOTS_WAITING: usize = 3;

/// Time of each stage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StageTimes {
    /// Preprocessing.
    pub prepare: Duration,
    /// The networks alone; where a GPU cuts and blends windows by itself, that as well.
    pub network: Duration,
    /// Cutting windows and blending outputs; what is left of that behind the last window, where a GPU does it.
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

/// A case that is predicted: on a GPU its last planes are still restored, beside whatever comes next.
///
/// Dropped, it waits until that is over.
#[must_use = "it has no labels before it is finished"]
pub struct Unfinished {
    rest: Option<Rest>,
    /// What was predicted: to free so much takes time that a GPU need not wait for.
    spent: Option<Volume>,
    windows: usize,
    times: StageTimes,
}

/// What is left to do.
pub(crate) enum Rest {
    /// Nothing.
    Done(Finished),
    /// Planes that wait for a thread of their own.
    Beside(JoinHandle<Result<Finished, EngineError>>),
}

impl Rest {
    /// Lets a thread take the planes that `feed` hands over, and does not wait for it once all are there.
    pub(crate) fn beside(
        finishing: Finishing,
        feed: impl FnOnce(&mut TakePlanes<'_>) -> Result<(), EngineError>,
    ) -> Result<Self, EngineError> {
        let (send, lots) = sync_channel(LOTS_WAITING * finishing.members.len());
        let thread = thread::spawn(move || {
            finishing.run(|take| {
                lots.into_iter()
                    .try_for_each(|(member, planes)| take(member, planes))
            })
        });
        let mut failed = false;
        let fed = feed(&mut |member, planes| {
            // Whoever does not listen any more has failed, and says so in the end.
            let sent = send.send((member, planes));
            failed = sent.is_err();
            sent.map_err(|_| EngineError::Stopped)
        });
        drop(send);
        let rest = Self::Beside(thread);
        match fed {
            Ok(()) => Ok(rest),
            Err(error) => match rest.finish() {
                Err(reason) if failed => Err(reason),
                _ => Err(error),
            },
        }
    }

    fn finish(self) -> Result<Finished, EngineError> {
        match self {
            Self::Done(finished) => Ok(finished),
            Self::Beside(thread) => thread.join().unwrap_or_else(|panic| resume_unwind(panic)),
        }
    }
}

impl Unfinished {
    pub(crate) fn new(rest: Rest, spent: Volume, windows: usize, times: StageTimes) -> Self {
        Self {
            spent: matches!(rest, Rest::Beside(_)).then_some(spent),
            rest: Some(rest),
            windows,
            times,
        }
    }

    /// Windows that each member predicted.
    pub fn windows(&self) -> usize {
        self.windows
    }

    /// Waits for the labels; probabilities are stored then.
    ///
    /// **Errors**: the predictions give no labels, or probabilities cannot be stored.
    pub fn finish(mut self) -> Result<Segmentation, EngineError> {
        drop(self.spent.take());
        let rest = self.rest.take().ok_or(EngineError::Stopped)?;
        let Finished { labels, time } = rest.finish()?;
        let times = StageTimes {
            restore: time,
            ..self.times
        };
        Ok(Segmentation {
            labels,
            windows: self.windows,
            times,
        })
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(Rest::Beside(thread)) = self.rest.take() {
            // Whatever became of it, nobody wants to know.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Unfinished {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Unfinished")
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
    use crate::finish::ProbabilitySink;

    fn plan() -> DeployPlan {
        let label = |class_index| {
            Label::new(
                format!("class {class_index}"),
                [0, 7][class_index],
                class_index,
            )
        };
        DeployPlan {
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

    fn finishing(probabilities: Option<Box<dyn ProbabilitySink + Send>>) -> Finishing {
        let (_, trace) = execute(vec![volume()], &[]).expect("no steps");
        Finishing {
            plan: Arc::new(plan()),
            members: vec![(None, 1.0)],
            combine: Combine::Mean,
            trace,
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
        let rest = Rest::beside(finishing(None), |take| {
            take(0, vec![plane([0.0, 1.0])])?;
            take(0, vec![plane([1.0, 0.0])])
        });
        let rest = rest.expect("fed");
        let found = Unfinished::new(rest, volume(), 1, StageTimes::default()).finish();
        let labels = found.expect("finished").labels.data;
        assert_eq!(labels.iter().copied().collect::<Vec<_>>(), [7, 0]);
    }

    #[test]
    fn what_has_failed_first_is_told() {
        let sink = Box::new(Full);
        let error = Rest::beside(finishing(Some(sink)), |take| {
            // Some lots wait before anybody notices.
            (0..1000).try_for_each(|_| take(0, vec![plane([0.0, 1.0])]))
        });
        let error = error.err().expect("nobody takes them");
        assert!(matches!(error, EngineError::Probabilities(_)), "{error:?}");

        let error = Rest::beside(finishing(None), |take| {
            take(0, vec![plane([0.0, 1.0])])?;
            Err(EngineError::NoMembers)
        });
        let error = error.err().expect("the feed failed");
        assert!(matches!(error, EngineError::NoMembers), "{error:?}");
    }

    #[test]
    fn a_case_without_all_its_planes_has_no_labels() {
        let rest = Rest::beside(finishing(None), |take| take(0, vec![plane([0.0, 1.0])]));
        let rest = rest.expect("fed");
        let found = Unfinished::new(rest, volume(), 1, StageTimes::default()).finish();
        let error = found.expect_err("a plane is missing");
        assert!(matches!(error, EngineError::Preprocess(_)), "{error:?}");
    }
}
