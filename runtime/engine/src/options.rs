//! How networks are run.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use crate::device::Device;

/// How networks are run; the default lets everything be chosen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EngineOptions {
    /// Where.
    pub device: Device,
    /// Threads of one operator on a processor; all cores if not given.
    pub threads: Option<NonZeroUsize>,
    /// Windows per call of a network; 1 on a processor and up to 4 on a GPU if not given.
    pub batch: Option<NonZeroUsize>,
    /// File or folder of ONNX Runtime's library; looked for if not given.
    pub library: Option<PathBuf>,
}
