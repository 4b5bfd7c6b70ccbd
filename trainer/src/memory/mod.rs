//! Memory: the amount that a machine has, and the amount that a training needs.

mod cases;
mod step;

pub use cases::{CaseSize, CasesMemory};
pub use step::StepMemory;
pub use vesal_cli::host_memory::HostMemory;

use serde::{Deserialize, Serialize};

use crate::device::{TrainDevice, TrainDeviceError, TrainDevices};

/// Bytes in a GiB.
pub const GIB: f64 = (1_u64 << 30) as f64;
/// Memory that the planner's rules are made for, and the limit of planning without a GPU.
const REFERENCE_GIB: f64 = 16.0;
/// Fraction of a machine's memory that a training without a GPU is planned for.
const HOST_SHARE: f64 = 0.75;

/// Origin of the amount of memory to plan for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemorySource {
    /// Unknown; the memory that the planner's rules are made for.
    #[default]
    Default,
    /// Set by the user.
    Set,
    /// Memory of the GPUs.
    Cuda,
    /// Memory of a machine without a GPU.
    Ram,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MemoryBudget {
    pub gib: f64,
    pub source: MemorySource,
}

impl MemoryBudget {
    /// The amount that the user set.
    pub fn set(gib: f64) -> Self {
        Self {
            gib,
            source: MemorySource::Set,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    pub total: u64,
    pub free: u64,
}

/// Default limit for preprocessed cases in bytes: half of the available memory; the rest is left to the training
/// itself. `None` where the system does not report its memory.
pub fn cases_budget() -> Option<u64> {
    HostMemory::read().map(|host| host.available / 2)
}

/// Determines the memory to plan for.
///
/// **Definition**: for GPUs, the least of their total memories. Without a GPU, three quarters of the machine's memory
/// (or of the limit of its control group), at most 16 GiB, because larger batches would only make steps longer. 16 GiB
/// where the memory is unknown.
///
/// **Errors**: a GPU that does not exist.
pub fn detect(devices: &TrainDevices) -> Result<MemoryBudget, TrainDeviceError> {
    let mut least: Option<u64> = None;
    for &device in devices.all() {
        let total = room(device)?.map(|room| room.total);
        least = [least, total].into_iter().flatten().min();
    }
    Ok(match (devices.first(), least) {
        (_, None) => MemoryBudget {
            gib: REFERENCE_GIB,
            source: MemorySource::Default,
        },
        (TrainDevice::Cuda(_), Some(total)) => MemoryBudget {
            gib: hundredths(total as f64 / GIB),
            source: MemorySource::Cuda,
        },
        (TrainDevice::Cpu, Some(total)) => MemoryBudget {
            gib: hundredths(HOST_SHARE * total as f64 / GIB).min(REFERENCE_GIB),
            source: MemorySource::Ram,
        },
    })
}

/// Total and free memory of a device in bytes; `None` where the system does not report it.
///
/// **Errors**: a GPU that does not exist.
pub fn room(device: TrainDevice) -> Result<Option<Room>, TrainDeviceError> {
    match device {
        TrainDevice::Cpu => Ok(HostMemory::read().map(|host| Room {
            total: host.total,
            free: host.available,
        })),
        #[cfg(feature = "cuda")]
        TrainDevice::Cuda(index) => {
            let memory = vesal_kernels::cuda::memory(index)
                .map_err(|source| TrainDeviceError::Cuda { device, source })?;
            Ok(Some(Room {
                total: memory.total,
                free: memory.free,
            }))
        }
        #[cfg(not(feature = "cuda"))]
        TrainDevice::Cuda(_) => Err(TrainDeviceError::NotBuilt { device }),
    }
}

/// Rounds down to two decimal digits.
fn hundredths(gib: f64) -> f64 {
    (gib * 100.0).floor() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_processor_is_planned_for_at_most_16_gib() {
        let found = detect(&TrainDevice::Cpu.into()).unwrap();
        assert!((0.1..=16.0).contains(&found.gib), "{found:?}");
        assert_eq!(
            found.source == MemorySource::Default,
            HostMemory::read().is_none()
        );
    }
}
