//! A member's way through the windows of a volume, wherever it runs.

use ndarray::{Array3, ArrayView4};
use rayon::prelude::*;
use vesal_volume::window::{Blending, Progress, StitchError, Walk, WindowPlan};

use crate::cuda::CudaWalk;
use crate::predictor::{OnnxPredictor, PredictorError, check_finite};

/// A member's way through the windows of a volume.
pub(crate) enum MemberWalk<'a> {
    /// Windows are cut and blended on the processor.
    Host(Walk<'a>),
    /// They are where the network runs.
    Cuda(CudaWalk<'a>),
}

impl<'a> MemberWalk<'a> {
    /// Starts before the first window of a volume, `[C, X, Y, Z]`.
    ///
    /// **Errors**: those of [`Walk::new`], or the GPU fails.
    pub(crate) fn new(
        volume: ArrayView4<'a, f32>,
        plan: &WindowPlan,
        blending: &'a Blending,
        predictor: &mut OnnxPredictor,
    ) -> Result<Self, StitchError<PredictorError>> {
        let total = blending.grid().count();
        let walk = predictor.cuda_walk(volume, plan, blending);
        match walk.map_err(|source| StitchError::Predict {
            window: 1,
            total,
            source,
        })? {
            Some(walk) => Ok(Self::Cuda(walk)),
            None => Ok(Self::Host(Walk::new(volume, plan, blending, predictor)?)),
        }
    }

    /// Whether the host only queues windows, and does not see how long the network takes.
    pub(crate) fn is_queued(&self) -> bool {
        matches!(self, Self::Cuda(_))
    }

    /// How far it is.
    pub(crate) fn progress(&self) -> Progress {
        match self {
            Self::Host(walk) => walk.progress(),
            Self::Cuda(walk) => walk.progress(),
        }
    }

    /// Predicts the next batch.
    ///
    /// **Errors**: the prediction fails.
    pub(crate) fn step(
        &mut self,
        predictor: &mut OnnxPredictor,
    ) -> Result<(), StitchError<PredictorError>> {
        match self {
            Self::Host(walk) => walk.step(predictor),
            Self::Cuda(walk) => {
                let stepped = predictor.step(walk);
                stepped.map_err(|source| self.failed(source))
            }
        }
    }

    /// Takes the next planes along X that no further window reaches, `[K, Y, Z]` each, in their order; none if there are
    /// none: on a processor one, so that no more of them wait than must, from a GPU a lot.
    ///
    /// **Errors**: a value of them is not finite: here every voxel is looked at once, and not in every window that holds
    /// it; on a GPU, the prediction of later windows fails.
    pub(crate) fn pop(
        &mut self,
        predictor: &mut OnnxPredictor,
    ) -> Result<Vec<Array3<f32>>, StitchError<PredictorError>> {
        let planes = match self {
            Self::Host(walk) => Ok(walk.pop().into_iter().collect()),
            Self::Cuda(walk) => predictor.pop(walk),
        };
        let checked = planes.and_then(|planes: Vec<Array3<f32>>| {
            planes.par_iter().try_for_each(check_finite)?;
            Ok(planes)
        });
        checked.map_err(|source| self.failed(source))
    }

    fn failed(&self, source: PredictorError) -> StitchError<PredictorError> {
        let Progress { done, total } = self.progress();
        StitchError::Predict {
            window: total.min(done + 1),
            total,
            source,
        }
    }
}

impl OnnxPredictor {
    /// Predicts a volume, `[C, X, Y, Z]`, and hands every plane, `[K, Y, Z]`, to `take` as soon as it is complete, in the
    /// order of X; windows are cut and blended on the device that the network runs on.
    ///
    /// **Errors**: an invalid plan, too little memory, or the network or the device fails.
    pub fn predict_planes(
        &mut self,
        volume: ArrayView4<'_, f32>,
        plan: &WindowPlan,
        mut take: impl FnMut(Array3<f32>),
    ) -> Result<(), StitchError<PredictorError>> {
        let (_, x, y, z) = volume.dim();
        let blending = Blending::new([x, y, z], plan)?;
        let mut walk = MemberWalk::new(volume, plan, &blending, self)?;
        loop {
            loop {
                let planes = walk.pop(self)?;
                if planes.is_empty() {
                    break;
                }
                planes.into_iter().for_each(&mut take);
            }
            let Progress { done, total } = walk.progress();
            if done == total {
                return Ok(());
            }
            walk.step(self)?;
        }
    }
}
