//! Releases and builds of ONNX Runtime.

use std::path::Path;

/// Oldest ONNX Runtime that has all functions that this program calls.
pub const MIN_VERSION: &str = "1.24";

/// Version of ONNX Runtime that is fetched.
pub const VERSION: &str = "1.31.1";

/// Which build of ONNX Runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    /// For processors: 29 MB.
    Cpu,
    /// For processors and NVIDIA GPUs: 310 MB; needs CUDA 13 and cuDNN 9 besides.
    Cuda,
}

impl Variant {
    /// Name of the package.
    pub fn package(self) -> &'static str {
        match self {
            Self::Cpu => "onnxruntime",
            Self::Cuda => "onnxruntime-gpu",
        }
    }
}

impl Variant {
    /// Its folder in the cache.
    pub fn folder(self) -> String {
        match self {
            Self::Cpu => format!("onnxruntime-{VERSION}"),
            Self::Cuda => format!("onnxruntime-{VERSION}-cuda"),
        }
    }

    /// The one whose folder in the cache this is.
    pub(crate) fn of_folder(folder: Option<&Path>) -> Option<Self> {
        let name = folder?.file_name()?;
        [Self::Cpu, Self::Cuda]
            .into_iter()
            .find(|variant| *name == *variant.folder())
    }
}
