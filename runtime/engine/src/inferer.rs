//! Sliding-window inference of one member, on the device that its network runs on.

use ndarray::{Array3, ArrayView4};
use rayon::prelude::*;
use vesal_volume::orientation::AxisTransform;
use vesal_volume::window::{
    Blending, SlidingWindowInferer, StitchError, WindowPlan, WindowProgress,
};

use crate::cuda::CudaInferer;
use crate::predictor::{OnnxPredictor, PredictorError, check_finite};

/// Sliding-window inference of one member.
pub(crate) enum MemberInferer<'a> {
    /// Windows are cut and blended on the processor.
    Host(SlidingWindowInferer<'a>),
    /// Windows are cut and blended on the GPU.
    Cuda(CudaInferer<'a>),
}

impl<'a> MemberInferer<'a> {
    /// Starts before the first window of a volume, `[C, X, Y, Z]`.
    ///
    /// **Errors**: those of [`SlidingWindowInferer::new`], or the GPU fails.
    pub(crate) fn new(
        volume: ArrayView4<'a, f32>,
        plan: &WindowPlan,
        blending: &'a Blending,
        predictor: &mut OnnxPredictor,
    ) -> Result<Self, StitchError<PredictorError>> {
        let total = blending.grid().count();
        // The GPU's kernels cut and blend windows along X alone.
        let inferer = match *blending.traversal() == AxisTransform::IDENTITY {
            true => predictor.cuda_inferer(volume, plan, blending),
            false => Ok(None),
        };
        match inferer.map_err(|source| StitchError::Predict {
            window: 1,
            total,
            source,
        })? {
            Some(inferer) => Ok(Self::Cuda(inferer)),
            None => Ok(Self::Host(SlidingWindowInferer::new(
                volume, plan, blending, predictor,
            )?)),
        }
    }

    /// Whether the host only queues windows, so that it cannot measure the network's time.
    pub(crate) fn is_queued(&self) -> bool {
        matches!(self, Self::Cuda(_))
    }

    /// Windows done so far.
    pub(crate) fn progress(&self) -> WindowProgress {
        match self {
            Self::Host(inferer) => inferer.progress(),
            Self::Cuda(inferer) => inferer.progress(),
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
            Self::Host(inferer) => inferer.step(predictor),
            Self::Cuda(inferer) => {
                let stepped = predictor.step(inferer);
                stepped.map_err(|source| self.failed(source))
            }
        }
    }

    /// Takes the next planes along X that no further window reaches, `[K, Y, Z]` each, in their order: at most one on
    /// the processor, so that as few as possible are held, or a batch from a GPU.
    ///
    /// **Errors**: a value is not finite (checked here, once per voxel, rather than per window); on a GPU, the
    /// prediction of later windows fails.
    pub(crate) fn pop(
        &mut self,
        predictor: &mut OnnxPredictor,
    ) -> Result<Vec<Array3<f32>>, StitchError<PredictorError>> {
        let planes = match self {
            Self::Host(inferer) => Ok(inferer.pop().into_iter().collect()),
            Self::Cuda(inferer) => predictor.pop(inferer),
        };
        let checked = planes.and_then(|planes: Vec<Array3<f32>>| {
            planes.par_iter().try_for_each(check_finite)?;
            Ok(planes)
        });
        checked.map_err(|source| self.failed(source))
    }

    fn failed(&self, source: PredictorError) -> StitchError<PredictorError> {
        let WindowProgress { done, total } = self.progress();
        StitchError::Predict {
            window: total.min(done + 1),
            total,
            source,
        }
    }
}

impl OnnxPredictor {
    /// Predicts a volume, `[C, X, Y, Z]`, and passes every plane, `[K, Y, Z]`, to `take` as soon as it is complete, in
    /// the order of X; windows are cut and blended on the device that the network runs on.
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
        let mut inferer = MemberInferer::new(volume, plan, &blending, self)?;
        loop {
            loop {
                let planes = inferer.pop(self)?;
                if planes.is_empty() {
                    break;
                }
                planes.into_iter().for_each(&mut take);
            }
            let WindowProgress { done, total } = inferer.progress();
            if done == total {
                return Ok(());
            }
            inferer.step(self)?;
        }
    }
}
