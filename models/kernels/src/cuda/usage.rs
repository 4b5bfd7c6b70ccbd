//! How much of the device's memory is taken.

use cubecl::Runtime;
use cubecl::cuda::{CudaDevice, CudaRuntime};

use super::operation::ask;

/// Memory that tensors and scratch buffers hold on a device, in bytes: reserved, whether in use or not.
pub fn reserved_bytes(device: &CudaDevice) -> u64 {
    let client = CudaRuntime::client(device);
    let tensors = client
        .memory_usage()
        .map_or(0, |usage| usage.bytes_reserved);
    tensors + ask(device, |gpu| Ok(gpu.scratch_bytes() as u64))
}
