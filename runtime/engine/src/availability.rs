//! Devices of this machine that run networks.

use vesal_onnx::Bytes;

use crate::device::{Device, DeviceError, RELU, check_provider, provider};
use crate::library::Runtime;
use crate::optimized_model::OptimizedModel;
use crate::options::EngineOptions;
use crate::session::{self, SessionError};

/// Most GPUs of one machine that are probed.
const MAX_GPUS: u32 = 16;

/// A device of this machine, and whether it runs networks.
#[derive(Debug)]
pub struct Availability {
    pub device: Device,
    /// Its execution provider.
    pub provider: &'static str,
    /// Why it cannot be used; `None` if it can.
    pub error: Option<DeviceError>,
}

/// Lists the supported devices, and tries each: the processor, and GPUs from 0 until one does not run.
pub fn available(runtime: &'static Runtime) -> Vec<Availability> {
    let mut devices = vec![try_device(runtime, Device::Cpu)];
    for index in 0..MAX_GPUS {
        let gpu = try_device(runtime, Device::Cuda(index));
        let usable = gpu.error.is_none();
        if usable || index == 0 {
            devices.push(gpu);
        }
        if !usable {
            break;
        }
    }
    devices
}

fn try_device(runtime: &'static Runtime, device: Device) -> Availability {
    let error = check_provider(runtime, device).err().or_else(|| {
        let session = session::build(
            runtime,
            &OptimizedModel::plain(Bytes::from_static(RELU)),
            device,
            &EngineOptions::default(),
            None,
        );
        match session {
            Err(SessionError::Refused(source)) => Some(DeviceError::Unusable { device, source }),
            // Without another provider, no plugin is used.
            Ok(_) | Err(SessionError::Plugin(_)) => None,
        }
    });
    Availability {
        device,
        provider: provider(device),
        error,
    }
}
