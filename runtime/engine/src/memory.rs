//! Memory of a case, computed from its headers.

use std::ops::Range;

use vesal_bundle::MemberGroup;
use vesal_volume::Geometry;
use vesal_volume::postprocess::InputGridEnsemble;
use vesal_volume::preprocess::{Inverter, cost};
use vesal_volume::window::{PatchPredictor, WindowPlan, inferer_bytes};

use crate::cuda::plane_batch_bytes;
use crate::ensemble::Ensemble;
use crate::error::EngineError;
use crate::network_memory::CONTEXT_BYTES;
use crate::segmentation::MAX_PENDING_BATCHES;

/// Bytes that ONNX Runtime's arena holds for each byte of activations: it grows by doubling, and what is freed in one place
/// may not fit what is needed next. DiNTS was seen to take 2.5, SwinUNETR 1.7.
pub const ARENA_FACTOR: u64 = 3;
/// Memory of ONNX Runtime's kernels in bytes, mostly columns of unrolled convolutions.
const KERNEL_BYTES: u64 = 16 << 20;

/// Upper bounds in bytes of the host memory of each stage of a case, with the data of earlier stages that it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StageMemory {
    pub images: u64,
    /// The images and the memory of preprocessing.
    pub prepare: u64,
    /// The prepared volume, blended planes, planes that are postprocessed, and labels.
    pub segment: u64,
    /// After all windows are predicted, until the result is written: the labels, and on a GPU the planes that are
    /// postprocessed and the prepared volume, which is freed while the next case is predicted.
    pub finish: u64,
}

/// Memory of the members of one plan, as in [`StageMemory`].
struct GroupMemory {
    prepare: u64,
    /// Bytes of the preprocessed volume.
    prepared: u64,
    segment: u64,
    finish: u64,
}

fn bytes(factors: &[usize], size: usize) -> u64 {
    let product = factors.iter();
    product.fold(size as u64, |bytes, &n| bytes.saturating_mul(n as u64))
}

/// Values of three axes, with those of one axis first.
fn brought_first<T: Copy>([x, y, z]: [T; 3], axis: usize) -> [T; 3] {
    [[x, y, z], [y, x, z], [z, x, y]][axis]
}

impl Ensemble {
    /// Bounds the memory of a case whose images have these grids and numbers of channels; nothing is assumed to be cropped
    /// away. The networks are not counted, see [`Ensemble::network_bytes`].
    ///
    /// **Errors**: the case does not fit the plan.
    pub fn case_memory(&self, images: &[(Geometry, usize)]) -> Result<StageMemory, EngineError> {
        let voxels = |(grid, channels): &(Geometry, usize)| {
            let [x, y, z] = grid.shape;
            bytes(&[*channels, x, y, z], size_of::<f32>())
        };
        let mut found = StageMemory {
            images: images.iter().map(voxels).fold(0, u64::saturating_add),
            prepare: 0,
            segment: 0,
            finish: 0,
        };
        let mut prepared = 0_u64;
        for (index, group) in self.groups.iter().enumerate() {
            let memory = self.group_memory(group, images)?;
            // Every plan but the last has a copy of the images.
            let copy = match index + 1 < self.groups.len() {
                true => found.images,
                false => 0,
            };
            let prepare = prepared.saturating_add(memory.prepare).saturating_add(copy);
            found.prepare = found.prepare.max(prepare);
            found.segment = found.segment.saturating_add(memory.segment);
            found.finish = found.finish.saturating_add(memory.finish);
            prepared = prepared.saturating_add(memory.prepared);
        }
        let on_input_grid = self.on_input_grid(images)?;
        found.segment = found.segment.saturating_add(on_input_grid);
        if self.device().is_gpu() {
            found.finish = found.finish.saturating_add(on_input_grid);
        }
        Ok(found)
    }

    /// Bounds the memory of the members of one plan.
    fn group_memory(
        &self,
        group: &MemberGroup,
        images: &[(Geometry, usize)],
    ) -> Result<GroupMemory, EngineError> {
        let plan = &group.plan;
        let preprocess = cost(images, &plan.preprocessing)?;
        let (channels, classes) = (plan.channels.len(), plan.labels.len());
        let [x, y, z] = preprocess.shape;
        let prepared = bytes(&[channels, x, y, z], size_of::<f32>());
        let input = images.first().map_or([0; 3], |(grid, _)| grid.shape);
        let mut worst = GroupMemory {
            prepare: preprocess.bytes,
            prepared,
            segment: 0,
            finish: 0,
        };
        for axis in self.first_axes() {
            let [x, y, z] = brought_first(preprocess.shape, axis);
            let window = WindowPlan {
                size: brought_first(plan.window.size, axis),
                overlap: brought_first(plan.window.overlap, axis),
                ..plan.window
            };
            let restore = Inverter::bytes(&plan.preprocessing, input, [x, y, z], classes);
            let mut segment = prepared.saturating_add(restore);
            let mut finish = bytes(&input, size_of::<u16>());
            let predictors = || group.members.iter().map(|&member| &self.members[member].0);
            if self.device().is_gpu() {
                let batches = predictors().map(|predictor| {
                    let plane = bytes(&[predictor.output_channels(), y, z], size_of::<f32>());
                    plane_batch_bytes(plane)
                });
                let batches = batches.fold(0, u64::saturating_add);
                // Waiting batches and the one in use; on a GPU, two more as copy targets.
                let waiting = batches.saturating_mul(MAX_PENDING_BATCHES as u64 + 1);
                segment = segment
                    .saturating_add(waiting)
                    .saturating_add(batches.saturating_mul(2));
                finish = restore.saturating_add(waiting).saturating_add(prepared);
            }
            for predictor in predictors() {
                let outputs = predictor.output_channels();
                let batch = predictor.max_batch();
                let inferer = inferer_bytes([channels, x, y, z], &window, outputs, batch)?;
                segment = segment.saturating_add(inferer);
                if predictor.head().is_some() {
                    segment = segment.saturating_add(bytes(&[classes, y, z], size_of::<f32>()));
                }
            }
            if group.members.len() > 1 {
                // Planes that only some members have completed are held for the others.
                let layer = window.size[0].min(x);
                let waiting = bytes(&[classes, layer, y, z], size_of::<f32>());
                segment = segment.saturating_add(waiting);
            }
            worst.segment = worst.segment.max(segment);
            worst.finish = worst.finish.max(finish);
        }
        Ok(worst)
    }

    /// Axes of prepared grids along which planes are produced: X, or any axis by the orientation of the images where
    /// plans are combined on the grid of the input.
    fn first_axes(&self) -> Range<usize> {
        match self.combines_on_input_grid() {
            true => 0..3,
            false => 0..1,
        }
    }

    /// Bounds the memory of predictions on the grid of the input that wait for or are in combination.
    ///
    /// **Definition**: the plan that is furthest behind continues until it completes planes, so that no prediction is
    /// ahead of another by more planes than a window of any plan spans on the input; plus the planes that are
    /// interpolated at once.
    fn on_input_grid(&self, images: &[(Geometry, usize)]) -> Result<u64, EngineError> {
        let (true, Some((input, _))) = (self.combines_on_input_grid(), images.first()) else {
            return Ok(0);
        };
        let classes = self.plan().labels.len();
        let mut spans = Vec::new();
        for group in &self.groups {
            let prepared = cost(images, &group.plan.preprocessing)?.shape;
            let windows = group.plan.window.size.into_iter().zip(prepared);
            spans.extend(windows.map(|(window, prepared)| (window.min(prepared), prepared)));
        }
        let mut worst = 0_u64;
        for axis in 0..3 {
            let [planes, y, z] = brought_first(input.shape, axis);
            let spanned = spans
                .iter()
                .map(|(window, prepared)| (window * planes).div_ceil((*prepared).max(1)));
            let ahead = spanned.max().unwrap_or(0);
            let plane = bytes(&[classes, y, z], size_of::<f32>());
            let waiting = plane.saturating_mul((2 * ahead).min(planes) as u64);
            let predictions = match self.groups.iter().all(|group| self.is_together(group)) {
                true => self.groups.len(),
                false => self.members.len(),
            };
            // Two blocks of probabilities are combined at a time.
            let combined = InputGridEnsemble::block_bytes(classes, [planes, y, z]);
            let total = waiting
                .saturating_mul(predictions as u64)
                .saturating_add(combined.saturating_mul(2));
            worst = worst.max(total);
        }
        Ok(worst.saturating_add(bytes(&input.shape, size_of::<u16>())))
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

    /// Bounds the GPU memory that a case takes besides the networks: the planes of the prepared volume and of the
    /// blended outputs that are held at a time, and the networks' inputs and outputs. Nothing on a processor.
    ///
    /// **Errors**: the case does not fit the plan.
    pub fn device_memory(&self, images: &[(Geometry, usize)]) -> Result<u64, EngineError> {
        let mut total = 0_u64;
        for group in &self.groups {
            let preprocess = cost(images, &group.plan.preprocessing)?;
            for &member in &group.members {
                let (predictor, _) = &self.members[member];
                let bytes = predictor.device_bytes(preprocess.shape, &group.plan.window)?;
                total = total.saturating_add(bytes);
            }
        }
        Ok(total)
    }

    /// Bounds the host memory that the networks take when they run, in addition to the memory of loading them.
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
