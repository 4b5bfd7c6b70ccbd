//! GPUs for training, connected if there are several.

use burn::backend::Autodiff;
use vesal_kernels::cuda::{Communicator, Cuda, CudaDevice, CudaError, check, check_nccl};
use vesal_libraries::cuda;

use super::rank::{Rank, Ranks};
use crate::device::{TrainDevice, TrainDeviceError, TrainDevices};

/// Checks that the GPUs can train, and connects them if there are several.
///
/// **Errors**: [`TrainDeviceError::Cuda`].
pub fn cuda_ranks(devices: &TrainDevices) -> Result<Ranks<Autodiff<Cuda>>, TrainDeviceError> {
    cuda::load_for_training();
    let failed = |device, source: CudaError| TrainDeviceError::Cuda { device, source };
    let ready = |&name: &TrainDevice| {
        let index = match name {
            TrainDevice::Cpu => {
                return Err(TrainDeviceError::Mixed {
                    found: devices.to_string(),
                });
            }
            TrainDevice::Cuda(index) => index,
        };
        check(index).map_err(|source| failed(name, source))?;
        Ok((name, CudaDevice::new(index)))
    };
    let ready = devices
        .all()
        .iter()
        .map(ready)
        .collect::<Result<Vec<_>, _>>()?;
    let several = |source| failed(devices.first(), source);
    let communicators = match ready.as_slice() {
        [_] => vec![None],
        ready => {
            check_nccl().map_err(several)?;
            let devices: Vec<_> = ready.iter().map(|(_, device)| device.clone()).collect();
            let connected = Communicator::connect(&devices).map_err(several)?;
            connected.into_iter().map(Some).collect()
        }
    };
    let mut ranks = ready
        .into_iter()
        .zip(communicators)
        .map(|((name, device), communicator)| Rank {
            name,
            device,
            reduction: communicator.map(|communicator| Box::new(communicator) as Box<_>),
        });
    Ok(Ranks {
        first: ranks.next().expect("at least one device"),
        others: ranks.collect(),
    })
}
