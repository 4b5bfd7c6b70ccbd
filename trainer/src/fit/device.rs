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
#[derive(Debug, Clone, PartialEq, Eq, Error)]
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
    /// A GPU that computes nothing.
    #[error("cannot train on `{device}`: the GPU, its driver or NVRTC does not respond")]
    NoResponse {
        /// The device.
        device: TrainDevice,
    },
}

impl DeviceError {
    /// What the reader can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Unknown { .. } => None,
            Self::NoResponse { .. } => Some(
                "`nvidia-smi` lists the GPUs and the driver; NVRTC comes with the CUDA toolkit",
            ),
            Self::NotBuilt { .. } => {
                Some("build with GPU support: `cargo build -p vesal-trainer --features cuda`")
            }
        }
    }
}

/// Checks that a GPU computes, before any case is read.
///
/// **Errors**: [`DeviceError::NoResponse`].
#[cfg(feature = "cuda")]
pub fn check_cuda(index: usize) -> Result<burn_cuda::CudaDevice, DeviceError> {
    use burn::tensor::Tensor;

    let device = burn_cuda::CudaDevice::new(index);
    let compute = || {
        Tensor::<burn_cuda::Cuda<f32, i32>, 1>::ones([2], &device)
            .sum()
            .into_scalar()
    };
    // The backend panics where there is no such device.
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(compute)) {
        Ok(2.0) => Ok(device),
        _ => Err(DeviceError::NoResponse {
            device: TrainDevice::Cuda(index),
        }),
    }
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
            assert_eq!(text.parse(), Ok(device));
            assert_eq!(device.to_string(), text);
        }
        assert_eq!("cuda".parse(), Ok(TrainDevice::Cuda(0)));
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
