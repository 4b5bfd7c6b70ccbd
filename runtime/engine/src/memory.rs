//! What a case takes in memory, from its headers alone.

use vesal_volume::Geometry;
use vesal_volume::preprocess::{Inverter, cost};
use vesal_volume::window::{PatchPredictor, inferer_bytes};

use crate::cuda::plane_batch_bytes;
use crate::ensemble::Ensemble;
use crate::error::EngineError;
use crate::network_memory::CONTEXT_BYTES;
use crate::segmentation::MAX_PENDING_BATCHES;

/// What ONNX Runtime's arena holds for each byte that the graph's activations need: it grows by doubling, and keeps what a
/// first run took one by one beside the one block of later runs.
const ARENA_FACTOR: u64 = 3;
/// Columns of its unrolled convolutions that ONNX Runtime's kernels hold per thread, and what else they take.
const KERNEL_BYTES: u64 = 16 << 20;

/// Most bytes of host memory that the stages of a case take, each with what it needs of the stages before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CaseMemory {
    /// The images.
    pub images: u64,
    /// The images, and what preprocessing them takes.
    pub prepare: u64,
    /// The prepared volume, blended planes, planes on their way back, and labels.
    pub segment: u64,
    /// What is left once all windows are predicted, until it is written: the labels, and on a GPU planes on their way back
    /// and the prepared volume, which is freed beside the next case.
    pub finish: u64,
}

impl Ensemble {
    /// Bounds the memory of a case whose images have these grids and numbers of channels; nothing is assumed to be cropped
    /// away. The networks are not counted, see [`Ensemble::network_bytes`].
    ///
    /// **Errors**: the case does not fit the plan.
    pub fn case_memory(&self, images: &[(Geometry, usize)]) -> Result<CaseMemory, EngineError> {
        let plan = &self.plan;
        let preprocess = cost(images, &plan.preprocessing)?;
        let [x, y, z] = preprocess.shape;
        let (channels, classes) = (plan.channels.len(), plan.labels.len());
        let bytes = |factors: &[usize], size: usize| {
            factors
                .iter()
                .fold(size as u64, |bytes, &n| bytes.saturating_mul(n as u64))
        };
        let prepared = bytes(&[channels, x, y, z], size_of::<f32>());
        let input = images.first().map_or([0; 3], |(grid, _)| grid.shape);
        let restore = Inverter::bytes(&plan.preprocessing, input, preprocess.shape, classes);
        let mut segment = prepared.saturating_add(restore);
        let mut finish = bytes(&input, size_of::<u16>());
        if self.device().is_gpu() {
            let batches = self.predictors().map(|predictor| {
                let plane = bytes(&[predictor.output_channels(), y, z], size_of::<f32>());
                plane_batch_bytes(plane)
            });
            let batches = batches.fold(0, u64::saturating_add);
            // Those that wait, and the one that is taken; two more that a GPU copies to.
            let waiting = batches.saturating_mul(MAX_PENDING_BATCHES as u64 + 1);
            segment = segment
                .saturating_add(waiting)
                .saturating_add(batches.saturating_mul(2));
            finish = restore.saturating_add(waiting).saturating_add(prepared);
        }
        let mut layer = 0;
        for predictor in self.predictors() {
            let outputs = predictor.output_channels();
            let batch = predictor.max_batch();
            let inferer = inferer_bytes([channels, x, y, z], &plan.window, outputs, batch)?;
            segment = segment.saturating_add(inferer);
            if predictor.head().is_some() {
                segment = segment.saturating_add(bytes(&[classes, y, z], size_of::<f32>()));
            }
            layer = plan.window.size[0].min(x);
        }
        if self.members.len() > 1 {
            // Planes that some members have completed wait for the others.
            let waiting = bytes(&[classes, layer, y, z], size_of::<f32>());
            segment = segment.saturating_add(waiting);
        }
        let voxels = |(grid, channels): &(Geometry, usize)| {
            let [x, y, z] = grid.shape;
            bytes(&[*channels, x, y, z], size_of::<f32>())
        };
        Ok(CaseMemory {
            images: images.iter().map(voxels).fold(0, u64::saturating_add),
            prepare: preprocess.bytes,
            segment,
            finish,
        })
    }

    /// Bounds the GPU memory that CUDA and the networks take. Nothing on a processor.
    pub fn device_network_bytes(&self) -> u64 {
        if !self.device().is_gpu() {
            return 0;
        }
        let mut total = CONTEXT_BYTES;
        for predictor in self.predictors() {
            total = total.saturating_add(predictor.device_network_bytes());
        }
        total
    }

    /// Bounds the GPU memory that a case takes beside the networks: the planes of the prepared volume and of the blended
    /// outputs that are there at a time, and the networks' inputs and outputs. Nothing on a processor.
    ///
    /// **Errors**: the case does not fit the plan.
    pub fn device_memory(&self, images: &[(Geometry, usize)]) -> Result<u64, EngineError> {
        let preprocess = cost(images, &self.plan.preprocessing)?;
        let mut total = 0_u64;
        for predictor in self.predictors() {
            let bytes = predictor.device_bytes(preprocess.shape, &self.plan.window)?;
            total = total.saturating_add(bytes);
        }
        Ok(total)
    }

    /// Bounds the host memory that the networks take when they run, on top of what loading them took.
    pub fn network_bytes(&self) -> u64 {
        let mut total = 0_u64;
        for predictor in self.predictors() {
            let activations = match self.device().is_gpu() {
                true => 0,
                false => predictor.activation_bytes().saturating_mul(ARENA_FACTOR),
            };
            total = total
                .saturating_add(activations)
                .saturating_add(predictor.buffer_bytes())
                .saturating_add(predictor.kernel_bytes())
                .saturating_add(KERNEL_BYTES);
        }
        total
    }
}
