//! What a case takes in memory, from its headers alone.

use vesal_volume::Geometry;
use vesal_volume::preprocess::{Restorer, cost};
use vesal_volume::window::{PatchPredictor, walk_bytes};

use crate::ensemble::Ensemble;
use crate::error::EngineError;

/// What ONNX Runtime's arena holds for each byte that the graph's activations need: it grows by doubling, and keeps what a
/// first run took one by one beside the one block of later runs.
const ARENA_FACTOR: u64 = 3;
/// Columns of its unrolled convolutions that ONNX Runtime's kernels hold per thread, and what else they take.
const KERNEL_BYTES: u64 = 16 << 20;

/// Most bytes of host memory that the stages of a case take, each with what it needs of the stages before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CaseMemory {
    /// The images, and what preprocessing them takes.
    pub prepare: u64,
    /// The prepared volume, which waits for the networks.
    pub prepared: u64,
    /// The prepared volume, blended planes, planes on their way back, and labels.
    pub segment: u64,
    /// The labels, until they are written.
    pub labels: u64,
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
        let mut segment = prepared.saturating_add(Restorer::bytes(
            &plan.preprocessing,
            input,
            preprocess.shape,
            classes,
        ));
        let mut layer = 0;
        for predictor in self.predictors() {
            let outputs = predictor.output_channels();
            let batch = predictor.max_batch();
            let walk = walk_bytes([channels, x, y, z], &plan.window, outputs, batch)?;
            segment = segment.saturating_add(walk);
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
        Ok(CaseMemory {
            prepare: preprocess.bytes,
            prepared,
            segment,
            labels: bytes(&input, size_of::<u16>()),
        })
    }

    /// Bounds the host memory that the networks take when they run, on top of what loading them took.
    ///
    /// **Errors**: the operator whose memory is not known.
    pub fn network_bytes(&self) -> Result<u64, String> {
        let mut total = 0_u64;
        for predictor in self.predictors() {
            let activations = match self.device().is_gpu() {
                true => 0,
                false => predictor.activation_bytes()?.saturating_mul(ARENA_FACTOR),
            };
            total = total
                .saturating_add(activations)
                .saturating_add(predictor.buffer_bytes())
                .saturating_add(KERNEL_BYTES);
        }
        Ok(total)
    }
}
