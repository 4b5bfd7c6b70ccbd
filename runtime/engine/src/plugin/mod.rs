//! Other execution providers than ONNX Runtime's own: OpenVINO and TensorRT-RTX.
//!
//! Either the loaded library was built with them, or a plugin brings them: a library that is found, registered once per
//! process, and queried for its devices.

mod find;
mod register;
#[cfg(test)]
mod tests;

use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Serialize, Serializer};
use thiserror::Error;

pub use self::find::{Locations, VARIABLE};
pub use self::register::{append, available};
use crate::device::Device;
use crate::library::LibraryError;

/// Execution provider on a device.
///
/// **Examples**
/// ```
/// use vesal_engine::Provider;
///
/// assert_eq!("openvino".parse(), Ok(Provider::OpenVino));
/// assert_eq!(Provider::TensorRtRtx.to_string(), "tensorrt-rtx");
/// assert!("OpenVINO".parse::<Provider>().is_err());
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Provider {
    /// ONNX Runtime's own kernels for processors, and its CUDA provider.
    #[default]
    Native,
    /// OpenVINO, for processors.
    OpenVino,
    /// TensorRT for RTX, for NVIDIA GPUs.
    TensorRtRtx,
}

/// The providers that are not part of ONNX Runtime.
pub const OTHERS: [Provider; 2] = [Provider::OpenVino, Provider::TensorRtRtx];

impl Provider {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::OpenVino => "openvino",
            Self::TensorRtRtx => "tensorrt-rtx",
        }
    }

    /// The Python package with its plugin.
    pub fn package(self) -> Option<&'static str> {
        match self {
            Self::Native => None,
            Self::OpenVino => Some("onnxruntime-ep-openvino"),
            Self::TensorRtRtx => Some("onnxruntime-ep-nv-tensorrt-rtx-cu13"),
        }
    }

    /// Device that [`Device::Auto`] selects.
    pub fn preferred(self) -> Device {
        match self {
            Self::Native => Device::Auto,
            Self::OpenVino => Device::Cpu,
            Self::TensorRtRtx => Device::Cuda(0),
        }
    }

    /// Whether it supports a device.
    pub fn serves(self, device: Device) -> bool {
        match (self, device) {
            (Self::Native, _) | (_, Device::Auto) => true,
            (Self::OpenVino, device) => device == Device::Cpu,
            (Self::TensorRtRtx, device) => matches!(device, Device::Cuda(_)),
        }
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl Serialize for Provider {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// A text that is not a provider.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the provider is {found:?}, expected `native`, `openvino` or `tensorrt-rtx`")]
pub struct ParseProviderError {
    pub found: String,
}

impl FromStr for Provider {
    type Err = ParseProviderError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Native, Self::OpenVino, Self::TensorRtRtx]
            .into_iter()
            .find(|provider| provider.name() == text)
            .ok_or_else(|| ParseProviderError { found: text.into() })
    }
}

/// Settings of a provider.
#[derive(Debug, Clone, Default)]
pub struct ProviderOptions {
    /// Device; [`Device::Auto`] is the provider's preferred device.
    pub device: Device,
    /// Processor threads; by default as many as the process may use.
    pub threads: Option<NonZeroUsize>,
    /// Whether OpenVINO may compute in 16 bits where the processor supports it; TensorRT-RTX uses the network's types.
    pub half: bool,
    /// Folder for TensorRT-RTX's compiled engines; OpenVINO does not need one on processors.
    pub cache: Option<PathBuf>,
}

/// Why a provider cannot be used.
#[derive(Debug, Error)]
pub enum PluginError {
    #[error("provider `{provider}` does not run on device `{device}`, expected `{}`", provider.preferred())]
    Device { provider: Provider, device: Device },
    /// Its plugin is in none of the searched places, and the loaded library was built without it.
    #[error(
        "the plugin of provider `{provider}` is in none of the places searched: {}",
        list(searched)
    )]
    NotFound {
        provider: Provider,
        /// The folders, in order.
        searched: Vec<PathBuf>,
    },
    /// It is not at the path that the user named.
    #[error("`{VARIABLE}` names `{}`, where no plugin of provider `{provider}` lies", path.display())]
    NotThere { provider: Provider, path: PathBuf },
    #[error("the plugin of provider `{provider}` is not loaded")]
    Place {
        provider: Provider,
        source: Box<LibraryError>,
    },
    #[error("ONNX Runtime cannot load the plugin `{}` of provider `{provider}`", library.display())]
    Register {
        provider: Provider,
        library: PathBuf,
        /// Error of ONNX Runtime.
        source: ort::Error,
    },
    /// It loads and offers no device.
    #[error("the plugin `{}` of provider `{provider}` offers {offered} devices of the kind of `{device}` on this machine, expected more than {index}", library.display())]
    NoDevice {
        provider: Provider,
        library: PathBuf,
        /// The requested device.
        device: Device,
        /// Its index among those of its kind.
        index: usize,
        /// Number of devices of that kind.
        offered: usize,
    },
    /// It rejects its options or does not start.
    #[error("provider `{provider}` does not start")]
    Start {
        provider: Provider,
        /// Error of ONNX Runtime.
        source: ort::Error,
    },
}

impl PluginError {
    /// A remedy for the user, if there is one.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NotFound { provider, .. } | Self::NotThere { provider, .. } => match provider {
                Provider::OpenVino => Some(
                    "`pip install onnxruntime-ep-openvino` in the active Python environment brings it (processors of Intel); \
                     `pip install onnxruntime-openvino` brings an ONNX Runtime with OpenVINO for any x86-64 processor, \
                     which `--ort-lib` names; `VESAL_PLUGIN_DIR` names a plugin's folder",
                ),
                Provider::TensorRtRtx => Some(
                    "`pip install onnxruntime-ep-nv-tensorrt-rtx-cu13` in the active Python environment brings it; \
                     `VESAL_PLUGIN_DIR` names a plugin's folder",
                ),
                Provider::Native => None,
            },
            Self::NoDevice { provider, .. } => match provider {
                Provider::OpenVino => Some(
                    "the plugin takes processors of Intel only; `pip install onnxruntime-openvino` brings an ONNX Runtime \
                     with OpenVINO for any x86-64 processor, which `--ort-lib` names",
                ),
                Provider::TensorRtRtx => Some(
                    "it takes GPUs of compute capability 8.6, 8.9, and 12.0 or newer: RTX, not A100 or H100",
                ),
                Provider::Native => None,
            },
            Self::Place { source, .. } => source.hint(),
            Self::Register { .. } => Some(
                "a plugin needs the libraries that come beside it: install its package again, or leave `--provider` out",
            ),
            Self::Device { .. } => Some("leave `--device` or `--provider` out"),
            Self::Start { .. } => Some("`--provider native` runs everywhere"),
        }
    }
}

/// Source of a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProviderSource {
    /// The loaded library was built with it.
    BuiltIn,
    Plugin(PathBuf),
}

/// A provider that is not part of ONNX Runtime, and whether this machine has it.
#[derive(Debug)]
pub struct ProviderAvailability {
    pub provider: Provider,
    /// Its source, if it is present.
    pub source: Option<ProviderSource>,
    /// Why it cannot be used; `None` if it can.
    pub error: Option<PluginError>,
}

fn list(paths: &[PathBuf]) -> String {
    let quoted: Vec<String> = paths
        .iter()
        .map(|path| format!("`{}`", path.display()))
        .collect();
    quoted.join(", ")
}
