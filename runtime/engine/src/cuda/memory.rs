//! Memory of a GPU, and pinned memory of the host.

use std::ffi::c_void;
use std::mem::ManuallyDrop;
use std::ptr::{NonNull, null_mut};
use std::sync::Arc;

use super::driver::CudaDriverError;
use super::gpu::{CudaContext, CudaEvent, Stream};

/// Floats in a GPU's memory.
pub(crate) struct DeviceBuffer {
    gpu: Arc<CudaContext>,
    address: u64,
    floats: usize,
}

impl DeviceBuffer {
    /// Allocates without initializing.
    ///
    /// **Errors**: too little memory.
    pub(crate) fn new(gpu: &Arc<CudaContext>, floats: usize) -> Result<Self, CudaDriverError> {
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

    /// Address of the float at `first`, with at least `floats` floats from there on.
    ///
    /// **Errors**: the range is outside of the allocation.
    pub(crate) fn at(&self, first: usize, floats: usize) -> Result<u64, CudaDriverError> {
        inside(first, floats, self.floats)?;
        Ok(self.address + (first * size_of::<f32>()) as u64)
    }

    /// Sets floats to 0, in the order of the stream.
    pub(crate) fn zero(
        &self,
        first: usize,
        floats: usize,
        stream: &Stream,
    ) -> Result<(), CudaDriverError> {
        let to = self.at(first, floats)?;
        // SAFETY: `at` has checked that the floats lie in the allocation.
        self.gpu.call("cuMemsetD32Async", |driver| unsafe {
            (driver.fill)(to, 0, floats, stream.handle())
        })
    }
}

impl Drop for DeviceBuffer {
    fn drop(&mut self) {
        // SAFETY: allocated once and not used again; the driver waits for work that uses it.
        let _ = self.gpu.call("cuMemFree", |driver| unsafe {
            (driver.memory_free)(self.address)
        });
    }
}

/// Pinned floats in host memory, which a GPU copies by DMA.
struct PinnedMemory {
    gpu: Arc<CudaContext>,
    address: NonNull<f32>,
    floats: usize,
}

// SAFETY: owned memory without other references.
unsafe impl Send for PinnedMemory {}

impl PinnedMemory {
    /// Allocates zeros.
    ///
    /// **Errors**: too little memory that can be pinned.
    fn new(gpu: &Arc<CudaContext>, floats: usize) -> Result<Self, CudaDriverError> {
        let mut address = null_mut();
        let bytes = floats.max(1).saturating_mul(size_of::<f32>());
        // SAFETY: the pointer is written to.
        gpu.call("cuMemHostAlloc", |driver| unsafe {
            (driver.host_allocate)(&raw mut address, bytes, 0)
        })?;
        let address =
            NonNull::new(address.cast::<f32>()).ok_or_else(|| CudaDriverError::NoMemory {
                device: gpu.index(),
                bytes,
            })?;
        // SAFETY: that many bytes were allocated, for anything of a GPU's alignment; zeros are floats.
        unsafe { address.as_ptr().write_bytes(0, floats) };
        Ok(Self {
            gpu: Arc::clone(gpu),
            address,
            floats,
        })
    }

    /// Address of the float at `first`, with at least `floats` floats from there on.
    ///
    /// **Errors**: the range is outside of the allocation.
    fn at(&self, first: usize, floats: usize) -> Result<*mut c_void, CudaDriverError> {
        inside(first, floats, self.floats)?;
        // SAFETY: inside of the allocation.
        Ok(unsafe { self.address.as_ptr().add(first) }.cast())
    }
}

impl Drop for PinnedMemory {
    fn drop(&mut self) {
        // SAFETY: allocated once and not used again; no copy is under way, see `Transfer`.
        let _ = self.gpu.call("cuMemFreeHost", |driver| unsafe {
            (driver.host_free)(self.address.as_ptr().cast())
        });
    }
}

/// State of copies from or to pinned memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Copying {
    None,
    /// The copies are done when the event is.
    UntilEvent,
    /// Copies were started without a following event: their end is unknown.
    Unknown,
}

/// Pinned memory that host and GPU use in turn: its floats are accessible only through [`IdleTransfer`], which exists
/// only after the last copies, and copies are started only through [`Copies`], which consumes that view.
pub(crate) struct Transfer {
    memory: ManuallyDrop<PinnedMemory>,
    done: CudaEvent,
    copying: Copying,
}

impl Transfer {
    /// Allocates zeros.
    ///
    /// **Errors**: too little memory that can be pinned.
    pub(crate) fn new(gpu: &Arc<CudaContext>, floats: usize) -> Result<Self, CudaDriverError> {
        // Created before the memory, which only a complete transfer frees.
        let done = CudaEvent::new(gpu)?;
        Ok(Self {
            memory: ManuallyDrop::new(PinnedMemory::new(gpu, floats)?),
            done,
            copying: Copying::None,
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.memory.floats
    }

    /// Whether [`Transfer::wait`] can succeed: not where copies were started and their event failed.
    pub(crate) fn is_usable(&self) -> bool {
        self.copying != Copying::Unknown
    }

    /// Waits for the last copies.
    ///
    /// **Errors**: one of them failed, or their end is unknown.
    pub(crate) fn wait(&mut self) -> Result<IdleTransfer<'_>, CudaDriverError> {
        match self.copying {
            Copying::None => {}
            Copying::UntilEvent => {
                self.done.synchronize()?;
                self.copying = Copying::None;
            }
            Copying::Unknown => {
                return Err(CudaDriverError::Lost {
                    device: self.memory.gpu.index(),
                });
            }
        }
        Ok(IdleTransfer(self))
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        // Memory that a GPU may still write to is never freed.
        if self.wait().is_ok() {
            // SAFETY: it is not used after this drop.
            unsafe { ManuallyDrop::drop(&mut self.memory) };
        }
    }
}

/// Pinned memory that no GPU uses.
pub(crate) struct IdleTransfer<'a>(&'a mut Transfer);

impl<'a> IdleTransfer<'a> {
    pub(crate) fn floats(&self) -> &[f32] {
        let PinnedMemory {
            address, floats, ..
        } = &*self.0.memory;
        // SAFETY: that many floats were allocated and set; no copy is under way as long as this view exists.
        unsafe { std::slice::from_raw_parts(address.as_ptr(), *floats) }
    }

    pub(crate) fn floats_mut(&mut self) -> &mut [f32] {
        let PinnedMemory {
            address, floats, ..
        } = &*self.0.memory;
        // SAFETY: that many floats were allocated and set; no copy is under way as long as this view exists, which is
        // borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(address.as_ptr(), *floats) }
    }

    /// Starts copies in the order of this stream.
    pub(crate) fn copy(self, stream: &'a Stream) -> Copies<'a> {
        // Until an event follows them; also if the copies are leaked.
        self.0.copying = Copying::Unknown;
        Copies {
            transfer: self.0,
            stream,
        }
    }
}

/// Copies that are started one after the other.
#[must_use = "without `finish`, nobody learns when the copies are done, and the memory cannot be used again"]
pub(crate) struct Copies<'a> {
    transfer: &'a mut Transfer,
    stream: &'a Stream,
}

impl Copies<'_> {
    /// Copies floats to the GPU.
    ///
    /// **Errors**: they are outside of an allocation, or an error of the driver.
    pub(crate) fn upload(
        &mut self,
        offset: usize,
        memory: &DeviceBuffer,
        first: usize,
        floats: usize,
    ) -> Result<(), CudaDriverError> {
        let (from, to) = (
            self.transfer.memory.at(offset, floats)?,
            memory.at(first, floats)?,
        );
        let stream = self.stream.handle();
        // SAFETY: `at` has checked that the floats lie in both allocations. The host memory is neither read nor freed
        // before an event after this copy, and the driver waits before it frees the GPU memory.
        memory.gpu.call("cuMemcpyHtoDAsync", |driver| unsafe {
            (driver.upload)(to, from, floats * size_of::<f32>(), stream)
        })
    }

    /// Copies floats from the GPU.
    ///
    /// **Errors**: they are outside of an allocation, or an error of the driver.
    pub(crate) fn download(
        &mut self,
        memory: &DeviceBuffer,
        first: usize,
        offset: usize,
        floats: usize,
    ) -> Result<(), CudaDriverError> {
        let (from, to) = (
            memory.at(first, floats)?,
            self.transfer.memory.at(offset, floats)?,
        );
        let stream = self.stream.handle();
        // SAFETY: as for `upload`.
        memory.gpu.call("cuMemcpyDtoHAsync", |driver| unsafe {
            (driver.download)(to, from, floats * size_of::<f32>(), stream)
        })
    }

    /// Records the event after the copies, for which [`Transfer::wait`] waits.
    ///
    /// **Errors**: the driver refuses; the memory then cannot be used again.
    pub(crate) fn finish(self) -> Result<(), CudaDriverError> {
        self.transfer.done.record(self.stream)?;
        self.transfer.copying = Copying::UntilEvent;
        Ok(())
    }
}

/// Checks that floats lie in an allocation.
fn inside(first: usize, floats: usize, most: usize) -> Result<(), CudaDriverError> {
    let end = first.saturating_add(floats);
    if end <= most {
        return Ok(());
    }
    Err(CudaDriverError::TooLarge {
        what: "the end of an access to memory",
        found: end,
        most,
    })
}
