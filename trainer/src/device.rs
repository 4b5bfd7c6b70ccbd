//! Devices for training.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::precision::Precision;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TrainDevice {
    /// All cores of the processor.
    #[default]
    Cpu,
    /// The NVIDIA GPU of this index.
    Cuda(usize),
}

impl TrainDevice {
    /// Precision of a network's computation on this device. Processors gain nothing from half precision.
    pub fn precision(self, use_amp: bool) -> Precision {
        match self {
            Self::Cuda(_) if use_amp => Precision::Mixed,
            _ => Precision::Single,
        }
    }
}

#[derive(Debug, Error)]
pub enum TrainDeviceError {
    /// The name stands for no device.
    #[error(
        "device is {found:?}, expected `cpu`, `cuda`, `cuda:N`, or several GPUs as in `cuda:0,cuda:1`"
    )]
    Unknown { found: String },
    /// A device is named twice.
    #[error("devices are {found:?}, expected each only once")]
    Repeated { found: String },
    /// The processor is named together with GPUs.
    #[error("devices are {found:?}, expected `cpu` alone or GPUs only")]
    Mixed { found: String },
    /// A GPU is requested of a build without GPU support.
    #[error("cannot train on `{device}`: this build supports `cpu` only")]
    NotBuilt { device: TrainDevice },
    /// Something that training on a GPU needs is missing.
    #[cfg(feature = "cuda")]
    #[error("cannot train on `{device}`")]
    Cuda {
        device: TrainDevice,
        source: vesal_kernels::cuda::CudaError,
    },
}

impl TrainDeviceError {
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Unknown { .. } | Self::Repeated { .. } | Self::Mixed { .. } => None,
            #[cfg(feature = "cuda")]
            Self::Cuda { .. } => Some(
                "`nvidia-smi` lists the GPUs and the driver; packages are those of Python (`pip install nvidia-cudnn-cu13`), \
                 in the environment of this program or in the active one; libraries elsewhere are found through \
                 LD_LIBRARY_PATH",
            ),
            Self::NotBuilt { .. } => {
                Some("build with GPU support: `cargo build -p vesal-trainer --features cuda`")
            }
        }
    }
}

/// Devices for training: at least one, all different, and the processor only by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrainDevices(Vec<TrainDevice>);

impl TrainDevices {
    pub fn first(&self) -> TrainDevice {
        self.0[0]
    }

    pub fn all(&self) -> &[TrainDevice] {
        &self.0
    }
}

impl From<TrainDevice> for TrainDevices {
    fn from(device: TrainDevice) -> Self {
        Self(vec![device])
    }
}

impl FromStr for TrainDevices {
    type Err = TrainDeviceError;

    /// Parses names of devices, separated by commas.
    fn from_str(text: &str) -> Result<Self, TrainDeviceError> {
        let devices = text
            .split(',')
            .map(str::parse)
            .collect::<Result<Vec<TrainDevice>, _>>()?;
        let found = || text.to_owned();
        if devices.len() > 1 && devices.contains(&TrainDevice::Cpu) {
            return Err(TrainDeviceError::Mixed { found: found() });
        }
        let is_repeated = |(index, device)| devices[..index].contains(device);
        if devices.iter().enumerate().any(is_repeated) {
            return Err(TrainDeviceError::Repeated { found: found() });
        }
        Ok(Self(devices))
    }
}

impl fmt::Display for TrainDevices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, device) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "," };
            write!(f, "{separator}{device}")?;
        }
        Ok(())
    }
}

impl FromStr for TrainDevice {
    type Err = TrainDeviceError;

    /// Parses `cpu`, `cuda` (the first GPU) or `cuda:N`.
    fn from_str(text: &str) -> Result<Self, TrainDeviceError> {
        let unknown = || TrainDeviceError::Unknown {
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

    #[test]
    fn several_gpus_are_different_and_without_the_processor() {
        for text in ["cpu", "cuda:3", "cuda:0,cuda:1", "cuda:2,cuda:0,cuda:1"] {
            let devices: TrainDevices = text.parse().unwrap();
            assert_eq!(devices.to_string(), text);
            assert_eq!(devices.all().len(), text.split(',').count());
            assert_eq!(devices.first(), devices.all()[0]);
        }
        for (text, expected) in [
            ("cuda,cuda:0", "each only once"),
            ("cuda:1,cuda:0,cuda:1", "each only once"),
            ("cpu,cpu", "`cpu` alone or GPUs only"),
            ("cuda:0,cpu", "`cpu` alone or GPUs only"),
            ("cuda:0,1", "as in `cuda:0,cuda:1`"),
            ("cuda:0,", "as in `cuda:0,cuda:1`"),
            ("", "as in `cuda:0,cuda:1`"),
        ] {
            let error = text.parse::<TrainDevices>().unwrap_err().to_string();
            assert!(error.ends_with(expected), "{text}: {error}");
        }
    }
}
