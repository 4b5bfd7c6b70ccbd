//! The memory that a plan is made for.

use crate::memory::MemorySource;

/// What the training may use.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Budget {
    /// Memory of the device in GiB.
    pub device_memory_gib: f64,
    /// Where that number comes from.
    pub source: MemorySource,
    /// Memory of the host that may hold preprocessed cases, in GiB; none: any amount.
    pub host_memory_gib: Option<f64>,
}

impl Default for Budget {
    /// The memory that the reference's rules are made for.
    fn default() -> Self {
        Self {
            device_memory_gib: 16.0,
            source: MemorySource::Default,
            host_memory_gib: None,
        }
    }
}
