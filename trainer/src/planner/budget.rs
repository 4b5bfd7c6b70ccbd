//! The memory that a plan is made for.

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
