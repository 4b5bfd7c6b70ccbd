//! Memory of devices.
#![allow(unsafe_code, reason = "asks the driver")]

use cubecl::Runtime;
use cubecl::cuda::{CudaDevice, CudaRuntime};
use cudarc::driver::result as driver;

use super::error::CudaError;
use super::operation::ask;
use super::requirements::check;

/// Memory of a device, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryInfo {
    pub total: u64,
    /// Free memory; the context of this process counts as used.
    pub free: u64,
}

/// Memory reserved for tensors and scratch buffers on a device, in bytes.
pub fn reserved_bytes(device: &CudaDevice) -> u64 {
    let client = CudaRuntime::client(device);
    let tensors = client
        .memory_usage()
        .map_or(0, |usage| usage.bytes_reserved);
    tensors + ask(device, |gpu| Ok(gpu.scratch_bytes() as u64))
}

/// Queries the memory of a device.
///
/// **Errors**: as [`check`], and errors of the driver.
pub fn memory(index: usize) -> Result<MemoryInfo, CudaError> {
    check(index)?;
    // On a separate thread, so that no other thread's current context changes.
    let asked = std::thread::spawn(move || {
        let device = driver::device::get(i32::try_from(index).unwrap_or(i32::MAX))?;
        // SAFETY: the device exists; its context is released once, after the last use.
        unsafe {
            let context = driver::primary_ctx::retain(device)?;
            let found = driver::ctx::set_current(context).and_then(|()| driver::mem_get_info());
            driver::primary_ctx::release(device)?;
            found
        }
    });
    let (free, total) = asked.join().map_err(|_| CudaError::Driver)??;
    Ok(MemoryInfo {
        total: total as u64,
        free: free as u64,
    })
}
