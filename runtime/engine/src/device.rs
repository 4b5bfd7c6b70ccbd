//! Devices that networks run on: the user's choice, and the providers of the loaded library.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use ort::ep::{CPU, CUDA, ExecutionProvider};
use serde::{Serialize, Serializer};
use thiserror::Error;

use crate::library::Runtime;

/// A network of one operator, to test whether a device works.
pub(crate) const RELU: &[u8] = include_bytes!("relu.onnx");

/// Where networks run: `auto`, `cpu`, `cuda` or `cuda:1`.
///
/// **Examples**
/// ```
/// use vesal_engine::Device;
///
/// assert_eq!("cuda".parse(), Ok(Device::Cuda(0)));
/// assert_eq!(Device::Cuda(1).to_string(), "cuda:1");
/// assert!("gpu".parse::<Device>().is_err());
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Device {
    /// The first GPU if it runs the networks, else the processor; the only choice with a fallback.
    #[default]
    Auto,
    Cpu,
    /// An NVIDIA GPU by its index.
    Cuda(u32),
}

impl Device {
    /// Whether it is a GPU, with memory of its own.
    pub fn is_gpu(self) -> bool {
        matches!(self, Self::Cuda(_))
    }
}

impl fmt::Display for Device {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => formatter.write_str("auto"),
            Self::Cpu => formatter.write_str("cpu"),
            Self::Cuda(index) => write!(formatter, "cuda:{index}"),
        }
    }
}

impl Serialize for Device {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A text that is not a device.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the device is {found:?}, expected `auto`, `cpu`, `cuda` or `cuda:N`")]
pub struct ParseDeviceError {
    pub found: String,
}

impl FromStr for Device {
    type Err = ParseDeviceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let index = |number: &str| match number.parse() {
            Ok(index) if number.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(Self::Cuda(index))
            }
            _ => None,
        };
        match text {
            "auto" => Some(Self::Auto),
            "cpu" => Some(Self::Cpu),
            "cuda" => Some(Self::Cuda(0)),
            _ => text.strip_prefix("cuda:").and_then(index),
        }
        .ok_or_else(|| ParseDeviceError { found: text.into() })
    }
}

/// Why a device cannot be used.
#[derive(Debug, Error)]
pub enum DeviceError {
    /// The loaded library was built without it.
    #[error("device `{device}` needs {provider}, which the ONNX Runtime of `{}` lacks", library.display())]
    NoProvider {
        device: Device,
        /// Its execution provider.
        provider: &'static str,
        /// The library in use.
        library: PathBuf,
    },
    /// The provider is present and does not start: no GPU of that index, no driver, or CUDA's libraries are missing.
    #[error("device `{device}` does not run the network")]
    Unusable {
        device: Device,
        /// Error of ONNX Runtime.
        source: ort::Error,
    },
}

impl DeviceError {
    /// A remedy for the user, if there is one.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoProvider {
                device: Device::Cuda(_),
                ..
            } => Some(
                "`vesal setup --cuda` fetches ONNX Runtime for NVIDIA GPUs; `--device cpu` needs none",
            ),
            Self::Unusable {
                device: Device::Cuda(_),
                ..
            } => Some(
                "`vesal devices` lists what runs here; CUDA 13 and cuDNN 9 must be where the system finds libraries",
            ),
            _ => None,
        }
    }
}

/// The execution provider of a device.
pub(crate) fn provider(device: Device) -> &'static str {
    match device {
        Device::Cuda(_) => CUDA::NAME,
        Device::Auto | Device::Cpu => CPU::NAME,
    }
}

/// Whether the loaded library was built with the provider of a device.
pub(crate) fn check_provider(runtime: &Runtime, device: Device) -> Result<(), DeviceError> {
    let present = match device {
        Device::Auto | Device::Cpu => Ok(true),
        Device::Cuda(_) => CUDA::is_available(),
    };
    match present {
        Ok(true) => Ok(()),
        Ok(false) => Err(DeviceError::NoProvider {
            device,
            provider: provider(device),
            library: runtime.path().to_path_buf(),
        }),
        Err(source) => Err(DeviceError::Unusable { device, source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_written_as_they_are_read() {
        for text in ["auto", "cpu", "cuda:0", "cuda:12"] {
            assert_eq!(text.parse::<Device>().expect("a device").to_string(), text);
        }
        for text in [
            "",
            "CPU",
            "cuda:",
            "cuda:-1",
            "cuda:+1",
            "cuda:4294967296",
            "cuda0",
            "cuda:0:0",
        ] {
            assert_eq!(
                text.parse::<Device>(),
                Err(ParseDeviceError { found: text.into() })
            );
        }
    }
}
