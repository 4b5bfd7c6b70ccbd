//! Where a training computes.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// A device to train on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TrainDevice {
    /// All cores of the processor.
    #[default]
    Cpu,
    /// The NVIDIA GPU of this index.
    Cuda(usize),
}

/// Why a device cannot be used.
#[derive(Debug, Error)]
pub enum DeviceError {
    /// A name that means no device.
    #[error("device is {found:?}, expected `cpu`, `cuda` or `cuda:N`")]
    Unknown {
        /// The name.
        found: String,
    },
    /// A GPU asked of a build without GPU support.
    #[error("cannot train on `{device}`: this build supports `cpu` only")]
    NotBuilt {
        /// The device.
        device: TrainDevice,
    },
    /// Something that training on a GPU needs is missing.
    #[cfg(feature = "cuda")]
    #[error("cannot train on `{device}`")]
    Cuda {
        /// The device.
        device: TrainDevice,
        /// What is missing.
        source: vesal_kernels::cuda::CudaError,
    },
}

impl DeviceError {
    /// What the reader can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Unknown { .. } => None,
            #[cfg(feature = "cuda")]
            Self::Cuda { .. } => Some(
                "`nvidia-smi` lists the GPUs and the driver; NVRTC and headers come with the CUDA toolkit, cuDNN as \
                 `pip install nvidia-cudnn-cu13`",
            ),
            Self::NotBuilt { .. } => {
                Some("build with GPU support: `cargo build -p vesal-trainer --features cuda`")
            }
        }
    }
}

/// Checks that a GPU can train, before any case is read.
///
/// **Errors**: [`DeviceError::Cuda`].
#[cfg(feature = "cuda")]
pub fn check_cuda(index: usize) -> Result<vesal_kernels::cuda::CudaDevice, DeviceError> {
    vesal_kernels::cuda::check(index).map_err(|source| DeviceError::Cuda {
        device: TrainDevice::Cuda(index),
        source,
    })?;
    Ok(vesal_kernels::cuda::CudaDevice::new(index))
}

impl FromStr for TrainDevice {
    type Err = DeviceError;

    /// Reads `cpu`, `cuda` (the first GPU) or `cuda:N`.
    fn from_str(text: &str) -> Result<Self, DeviceError> {
        let unknown = || DeviceError::Unknown {
            found: text.to_owned(),
        };
        match text {
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            _ => {
                let index = text.strip_prefix("cuda:").ok_or_else(unknown)?;
                let digits = !index.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit());
                let index = digits.then(|| index.parse().ok()).flatten();
                index.map(Self::Cuda).ok_or_else(unknown)
            }
        }
    }
}

impl fmt::Display for TrainDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => write!(f, "cpu"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_devices_agree() {
        for (text, device) in [
            ("cpu", TrainDevice::Cpu),
            ("cuda:0", TrainDevice::Cuda(0)),
            ("cuda:12", TrainDevice::Cuda(12)),
        ] {
            assert_eq!(text.parse::<TrainDevice>().unwrap(), device);
            assert_eq!(device.to_string(), text);
        }
        assert_eq!("cuda".parse::<TrainDevice>().unwrap(), TrainDevice::Cuda(0));
        for text in [
            "",
            "gpu",
            "CPU",
            "cuda:",
            "cuda:-1",
            "cuda:+1",
            "cuda:99999999999999999999",
        ] {
            assert!(text.parse::<TrainDevice>().is_err(), "{text}");
        }
    }
}
