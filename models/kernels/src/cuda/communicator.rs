//! Sums over several GPUs of one host.
#![allow(unsafe_code, reason = "calls NCCL")]

use cubecl::cuda::CudaDevice;

use super::backend::{Cuda, CudaTensor};
use super::error::CudaError;
use super::nccl::Nccl;
use super::operation::{Operation, ask, flush, wait_for_launches};
use crate::reduction::Reduction;

/// Tensors begin at multiples of this many values, so that vector loads are aligned.
const ALIGNMENT: usize = 128;

/// NCCL's communicator of one GPU.
///
/// Never destroyed, because NCCL would wait for the other GPUs even after one has failed.
#[derive(Debug)]
pub struct Communicator {
    device: CudaDevice,
    address: usize,
}

impl Communicator {
    /// Connects these GPUs, all different: a communicator for each, in their order.
    ///
    /// **Errors**: NCCL is missing, or refuses.
    pub fn connect(devices: &[CudaDevice]) -> Result<Vec<Self>, CudaError> {
        let Some(first) = devices.first() else {
            return Ok(Vec::new());
        };
        let nccl = Nccl::get()?;
        let indices: Vec<usize> = devices.iter().map(|device| device.index).collect();
        // On a thread with a context, because NCCL would otherwise create one on the first GPU.
        let addresses = ask(first, |_| Ok(nccl.connect(&indices)))?;
        let connected = devices.iter().zip(addresses);
        Ok(connected
            .map(|(device, address)| Self {
                device: device.clone(),
                address,
            })
            .collect())
    }
}

impl Reduction<Cuda> for Communicator {
    /// Sums through scratch memory: within one process, NCCL's GPUs write into each other's buffers, and CubeCL's pool
    /// is not accessible to other GPUs.
    fn sum(&self, tensors: Vec<CudaTensor>) -> Vec<CudaTensor> {
        let Some(first) = tensors.first() else {
            return tensors;
        };
        let mut operation = Operation::beside(first);
        let mut buffers = Vec::with_capacity(tensors.len());
        let mut sums = Vec::with_capacity(tensors.len());
        let mut total: usize = 0;
        for tensor in tensors {
            let count = tensor.meta.shape().num_elements();
            let (tensor, buffer) = operation.writable(tensor);
            buffers.push((buffer, total, count));
            sums.push(tensor);
            total += count.next_multiple_of(ALIGNMENT);
        }
        let address = self.address;
        operation.submit(move |gpu, at| {
            let [scratch] = gpu.scratch([4 * total])?;
            let places: Vec<_> = buffers
                .iter()
                .map(|&(buffer, start, count)| {
                    (at.of(buffer), scratch + 4 * start as u64, 4 * count)
                })
                .collect();
            // SAFETY: dense `f32` buffers of the counts listed, and scratch memory for all of them; NCCL is of this
            // device.
            unsafe {
                for &(own, shared, bytes) in &places {
                    gpu.copy(own, shared, bytes)?;
                }
                Nccl::get()?.sum(address, scratch, total, gpu.stream())?;
                for &(own, shared, bytes) in &places {
                    gpu.copy(shared, own, bytes)?;
                }
            }
            Ok(())
        });
        sums
    }

    fn flush(&self) {
        flush(&self.device);
    }

    fn wait_for_launches(&self) {
        wait_for_launches(&self.device);
    }
}
