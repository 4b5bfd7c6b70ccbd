//! The memory that a plan is made for.

use super::decision::Decisions;
use crate::memory::MemorySource;

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Budget {
    pub device_memory_gib: f64,
    pub source: MemorySource,
    /// Memory of the host for preprocessed cases in GiB; `None`: no limit.
    pub host_memory_gib: Option<f64>,
}

impl Default for Budget {
    /// The memory that Auto3DSeg's rules are made for.
    fn default() -> Self {
        Self {
            device_memory_gib: 16.0,
            source: MemorySource::Default,
            host_memory_gib: None,
        }
    }
}

impl Budget {
    /// Records the memory of the device as a decision, and returns it in GiB.
    pub(crate) fn recorded(&self, decisions: &mut Decisions) -> f64 {
        decisions.ruled(
            "device_memory_gib",
            self.device_memory_gib,
            match self.source {
                MemorySource::Set => "as set by you",
                MemorySource::Cuda => "the memory of the GPU to train on, of several the least",
                MemorySource::Ram => {
                    "without a GPU, three quarters of the machine's memory, at most 16 GiB"
                }
                MemorySource::Default => "16 GiB, which the rules are made for",
            },
            "kept from the first planning on; `--device-memory` changes it",
        )
    }
}
