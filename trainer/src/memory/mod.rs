//! Memory: how much a machine has, and how much a training needs.

mod cases;
mod step;

pub use cases::{CaseSize, CasesMemory};
pub use step::StepMemory;
pub use vesal_cli::host_memory::HostMemory;

use serde::{Deserialize, Serialize};

use crate::device::{TrainDevice, TrainDeviceError, TrainDevices};

/// Bytes in a GiB.
pub const GIB: f64 = (1_u64 << 30) as f64;
/// What the planner's rules are made for, and the most that is planned for without a GPU.
const REFERENCE_GIB: f64 = 16.0;
/// Part of a machine's memory that a training without a GPU is planned for.
const HOST_SHARE: f64 = 0.75;

/// Where the memory to plan for comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemorySource {
    /// Nothing is known: what the planner's rules are made for.
    #[default]
    Default,
    /// The user.
    Set,
    /// The GPUs to train on.
    Cuda,
    /// The machine, without a GPU.
    Ram,
}

/// Memory to plan for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MemoryBudget {
    /// In GiB.
    pub gib: f64,
    /// How that is known.
    pub source: MemorySource,
}

impl MemoryBudget {
    /// What the user says.
    pub fn set(gib: f64) -> Self {
        Self {
            gib,
            source: MemorySource::Set,
        }
    }
}

/// Memory of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Bytes in all.
    pub total: u64,
    /// Bytes that nothing has taken yet.
    pub free: u64,
}

/// Memory in bytes that preprocessed cases may take by default, half of what is available: the rest is for the training
/// itself. `None` where the system does not tell.
pub fn cases_budget() -> Option<u64> {
    HostMemory::read().map(|host| host.available / 2)
}

/// Finds the memory to plan for.
///
/// **Definition**: of GPUs the least total memory. Without a GPU, three quarters of the machine's memory (or of what
/// a control group allows), at most 16 GiB: batches that use more would only make steps longer. 16 GiB where nothing
/// can be found out.
///
/// **Errors**: a GPU that is not there.
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

/// How much memory a device has, and how much of it is free; `None` where the system does not tell.
///
/// **Errors**: a GPU that is not there.
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

/// Rounded down to two digits.
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
