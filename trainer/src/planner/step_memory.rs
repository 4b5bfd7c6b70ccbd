//! The memory of a step, recorded with the plan.

use super::Budget;
use super::decision::{Decisions, Group};
use crate::device::TrainDevice;
use crate::memory::{GIB, MemorySource, StepMemory};
use crate::precision::Precision;
use crate::train_plan::TrainPlan;

/// Records the memory that a step takes on the planned device.
pub(crate) fn step_memory(train: &TrainPlan, budget: &Budget, decisions: &mut Decisions) {
    decisions.group = Group::Patches;
    let device = match budget.source {
        MemorySource::Ram => TrainDevice::Cpu,
        MemorySource::Default | MemorySource::Set | MemorySource::Cuda => TrainDevice::Cuda(0),
    };
    let precision = device.precision(train.use_amp);
    let patches = train.num_images_per_batch * train.num_crops_per_image;
    let mut step = StepMemory::new(&train.network, train.roi_size, patches, precision);
    if train.ema_decay.is_some() {
        step = step.with_average(&train.network);
    }
    let bytes = match device {
        TrainDevice::Cpu => step.on_host(),
        TrainDevice::Cuda(_) => step.on_gpu((budget.device_memory_gib * GIB) as u64),
    };
    decisions.ruled(
        "step_memory_gib",
        (bytes as f64 / GIB * 10.0).ceil() / 10.0,
        "an estimate; a training that does not fit its device is refused before it starts",
        format!(
            "patches of a step: {patches}, in {}; {} parameters",
            match precision {
                Precision::Mixed => "mixed precision",
                Precision::Single => "single precision",
            },
            train.network.parameters()
        ),
    );
}
