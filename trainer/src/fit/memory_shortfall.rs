//! Errors about insufficient memory, with settings that would fit.

use std::fmt;

use thiserror::Error;

use crate::device::TrainDevice;
use crate::memory::GIB;

/// A training that needs more memory than there is.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "a step of {patches} patches of {patch:?} voxels{cases} needs about {:.1} GiB on `{device}`, which has {:.1} GiB free",
    *needed as f64 / GIB,
    *present as f64 / GIB
)]
pub struct MemoryShortfall {
    pub device: TrainDevice,
    /// Patches per step on this device.
    pub patches: usize,
    /// Patch in voxels.
    pub patch: [usize; 3],
    pub cases: CasesInMemory,
    /// Estimated demand in bytes.
    pub needed: u64,
    /// Free memory in bytes.
    pub present: u64,
    pub suggestion: Suggestion,
}

/// Cases that take memory in addition to a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CasesInMemory {
    pub count: usize,
    pub bytes: u64,
}

impl fmt::Display for CasesInMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.count {
            0 => Ok(()),
            count => write!(f, " and {count} cases ({:.1} GiB)", self.bytes as f64 / GIB),
        }
    }
}

/// A change that makes the training fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Suggestion {
    Plan(Vec<String>),
    /// No patch fits; a smaller network might.
    Network,
    /// The cases alone exceed the memory.
    Memory,
}

impl fmt::Display for Suggestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plan(settings) => {
                let settings: Vec<_> = settings.iter().map(|set| format!(" --set {set}")).collect();
                write!(
                    f,
                    "`vesal-train plan --work-dir DIR{}` would fit; or train where there is more memory",
                    settings.concat()
                )
            }
            Self::Network => f.write_str(
                "plan a smaller network, such as `--set network#init_filters=12`, or train where there is more memory",
            ),
            Self::Memory => f.write_str("train where there is more memory, or with fewer cases"),
        }
    }
}
