//! Memory of a GPU, and memory of the host that it copies by itself.

use std::ffi::c_void;
use std::ptr::{NonNull, null_mut};
use std::sync::Arc;

use super::driver::CudaError;
use super::gpu::Gpu;

/// Floats in a GPU's memory.
pub(crate) struct DeviceMemory {
    gpu: Arc<Gpu>,
    address: u64,
    floats: usize,
}

impl DeviceMemory {
    /// Allocates, without setting them.
    ///
    /// **Errors**: too little memory.
    pub(crate) fn new(gpu: &Arc<Gpu>, floats: usize) -> Result<Self, CudaError> {
        let mut address = 0;
        let bytes = floats.max(1).saturating_mul(size_of::<f32>());
        // SAFETY: the pointer is written to.
        gpu.call("cuMemAlloc", |driver| unsafe {
            (driver.memory_allocate)(&raw mut address, bytes)
        })?;
        let gpu = Arc::clone(gpu);
        Ok(Self {
            gpu,
            address,
            floats,
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.floats
    }

    /// Address of the float at `first`, behind which there are at least `floats`.
    ///
    /// **Errors**: there are not.
    pub(crate) fn at(&self, first: usize, floats: usize) -> Result<u64, CudaError> {
        inside(first, floats, self.floats)?;
        Ok(self.address + (first * size_of::<f32>()) as u64)
    }
}

impl Drop for DeviceMemory {
    fn drop(&mut self) {
        // SAFETY: allocated once and not used again; the driver waits for work that uses it.
        let _ = self.gpu.call("cuMemFree", |driver| unsafe {
            (driver.memory_free)(self.address)
        });
    }
}

/// Floats in the host's memory that stay where they are, so that a GPU copies them without the processor.
pub(crate) struct PinnedMemory {
    gpu: Arc<Gpu>,
    address: NonNull<f32>,
    floats: usize,
}

// SAFETY: owned memory.
unsafe impl Send for PinnedMemory {}

impl PinnedMemory {
    /// Allocates zeros.
    ///
    /// **Errors**: too little memory that can be pinned.
    pub(crate) fn new(gpu: &Arc<Gpu>, floats: usize) -> Result<Self, CudaError> {
        let mut address = null_mut();
        let bytes = floats.max(1).saturating_mul(size_of::<f32>());
        // SAFETY: the pointer is written to.
        gpu.call("cuMemHostAlloc", |driver| unsafe {
            (driver.host_allocate)(&raw mut address, bytes, 0)
        })?;
        let address: *mut f32 = address.cast();
        // SAFETY: so many bytes were allocated, for anything of a GPU's alignment; zeros are floats.
        unsafe { address.write_bytes(0, floats) };
        Ok(Self {
            gpu: Arc::clone(gpu),
            address: NonNull::new(address).unwrap_or(NonNull::dangling()),
            floats,
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.floats
    }

    pub(super) fn at(&self, first: usize, floats: usize) -> Result<*mut c_void, CudaError> {
        inside(first, floats, self.floats)?;
        // SAFETY: inside of the allocation.
        Ok(unsafe { self.address.as_ptr().add(first) }.cast())
    }

    /// The floats; nobody may call this while a GPU writes to them.
    pub(crate) fn as_slice(&self) -> &[f32] {
        // SAFETY: so many floats were allocated and set.
        unsafe { std::slice::from_raw_parts(self.address.as_ptr(), self.floats) }
    }

    /// The floats; nobody may call this while a GPU reads or writes them.
    pub(crate) fn as_mut_slice(&mut self) -> &mut [f32] {
        // SAFETY: so many floats were allocated and set; borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(self.address.as_ptr(), self.floats) }
    }
}

impl Drop for PinnedMemory {
    fn drop(&mut self) {
        // SAFETY: allocated once and not used again.
        let _ = self.gpu.call("cuMemFreeHost", |driver| unsafe {
            (driver.host_free)(self.address.as_ptr().cast())
        });
    }
}

/// Checks that floats lie in an allocation.
fn inside(first: usize, floats: usize, most: usize) -> Result<(), CudaError> {
    let end = first.saturating_add(floats);
    if end <= most {
        return Ok(());
    }
    Err(CudaError::TooLarge {
        what: "the end of an access to memory",
        found: end,
        most,
    })
}
