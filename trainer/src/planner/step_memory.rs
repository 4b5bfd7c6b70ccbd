//! The memory of a step, recorded with the plan.

use vesal_network::NetworkConfig;

use super::Budget;
use super::decision::{Decisions, Group};
use crate::device::TrainDevice;
use crate::memory::{GIB, MemorySource, StepMemory};
use crate::precision::Precision;
use crate::train_plan::TrainPlan;

/// Memory of a GPU that the driver's context and other programs take, in bytes.
const CONTEXT_BYTES: u64 = 1 << 30;

/// What the memory of a step depends on besides the number of patches.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StepSize<'a> {
    pub(crate) network: &'a NetworkConfig,
    /// Patch in voxels.
    pub(crate) patch: [usize; 3],
    pub(crate) use_amp: bool,
    /// Whether the weights are averaged over steps.
    pub(crate) averages: bool,
    /// Numbers per parameter that the optimizer keeps.
    pub(crate) moments: u64,
}

impl StepSize<'_> {
    /// Precision, and bytes of a step of this many patches, on the planned device.
    fn of(&self, patches: usize, budget: &Budget) -> (Precision, u64) {
        let device = device(budget);
        let precision = device.precision(self.use_amp);
        let mut step = StepMemory::new(self.network, self.patch, patches, precision, self.moments);
        if self.averages {
            step = step.with_average(self.network);
        }
        let bytes = match device {
            TrainDevice::Cpu => step.on_host(),
            TrainDevice::Cuda(_) => step.on_gpu(total(budget)),
        };
        (precision, bytes)
    }
}

fn total(budget: &Budget) -> u64 {
    (budget.device_memory_gib * GIB) as u64
}

fn device(budget: &Budget) -> TrainDevice {
    match budget.source {
        MemorySource::Ram => TrainDevice::Cpu,
        MemorySource::Default | MemorySource::Set | MemorySource::Cuda => TrainDevice::Cuda(0),
    }
}

/// The largest number of patches, at most `wanted`, of which a step fits the planned device; at least 1.
pub(crate) fn fitting_patches(wanted: usize, step: StepSize<'_>, budget: &Budget) -> usize {
    let room = match device(budget) {
        TrainDevice::Cpu => total(budget),
        TrainDevice::Cuda(_) => total(budget).saturating_sub(CONTEXT_BYTES),
    };
    let fits = |patches: &usize| step.of(*patches, budget).1 <= room;
    (1..=wanted).rev().find(fits).unwrap_or(1)
}

/// Records the memory that a step takes on the planned device; the optimizer keeps `moments` numbers per parameter.
pub(crate) fn step_memory(
    train: &TrainPlan,
    moments: u64,
    budget: &Budget,
    decisions: &mut Decisions,
) {
    decisions.group = Group::Patches;
    let patches = train.num_images_per_batch * train.num_crops_per_image;
    let step = StepSize {
        network: &train.network,
        patch: train.roi_size,
        use_amp: train.use_amp,
        averages: train.ema_decay.is_some(),
        moments,
    };
    let (precision, bytes) = step.of(patches, budget);
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
