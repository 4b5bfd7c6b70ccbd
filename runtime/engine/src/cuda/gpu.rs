//! One GPU: its context, streams and events.

use std::ffi::c_int;
use std::ptr::null_mut;
use std::sync::Arc;

use super::driver::{CudaDriverError, Driver, Handle, NOT_READY};

/// Flag of a stream that does not synchronize with the default one.
const NON_BLOCKING: u32 = 1;
/// Flag of an event without timing.
const NO_TIMING: u32 = 2;

/// One GPU in its primary context, which ONNX Runtime uses as well.
pub(crate) struct CudaContext {
    driver: &'static Driver,
    index: u32,
    device: c_int,
    context: Handle,
}

// SAFETY: the driver may be called from any thread; handles are only passed to it.
unsafe impl Send for CudaContext {}
// SAFETY: as above.
unsafe impl Sync for CudaContext {}

impl CudaContext {
    /// Opens the GPU of this index, counted as ONNX Runtime does.
    ///
    /// **Errors**: no driver, or no such GPU.
    pub(crate) fn open(index: u32) -> Result<Arc<Self>, CudaDriverError> {
        let driver = Driver::get()?;
        let ordinal = c_int::try_from(index).unwrap_or(c_int::MAX);
        let (mut device, mut context) = (0, null_mut());
        // SAFETY: both pointers are written to.
        driver.check(index, "cuDeviceGet", unsafe {
            (driver.device)(&raw mut device, ordinal)
        })?;
        // SAFETY: the pointer is written to; the device is one that the driver gave.
        driver.check(index, "cuDevicePrimaryCtxRetain", unsafe {
            (driver.context_retain)(&raw mut context, device)
        })?;
        Ok(Arc::new(Self {
            driver,
            index,
            device,
            context,
        }))
    }

    /// Index of the GPU.
    pub(crate) fn index(&self) -> u32 {
        self.index
    }

    /// Makes the GPU's context current on the calling thread, and calls the driver.
    pub(super) fn call(
        &self,
        name: &'static str,
        call: impl FnOnce(&Driver) -> c_int,
    ) -> Result<(), CudaDriverError> {
        self.enter()?;
        self.driver.check(self.index, name, call(self.driver))
    }

    fn enter(&self) -> Result<(), CudaDriverError> {
        // SAFETY: the context lives as long as `self`.
        let code = unsafe { (self.driver.context_enter)(self.context) };
        self.driver.check(self.index, "cuCtxSetCurrent", code)
    }

    /// Lets a stream wait for an event of another one.
    pub(crate) fn wait(&self, stream: &Stream, event: &CudaEvent) -> Result<(), CudaDriverError> {
        // SAFETY: both handles are alive.
        self.call("cuStreamWaitEvent", |driver| unsafe {
            (driver.stream_wait)(stream.handle, event.handle, 0)
        })
    }
}

impl Drop for CudaContext {
    fn drop(&mut self) {
        // SAFETY: the context was retained once.
        unsafe { (self.driver.context_release)(self.device) };
    }
}

/// A stream of work on a GPU.
pub(crate) struct Stream {
    gpu: Arc<CudaContext>,
    handle: Handle,
}

// SAFETY: as for `Gpu`.
unsafe impl Send for Stream {}
// SAFETY: as for `Gpu`.
unsafe impl Sync for Stream {}

impl Stream {
    pub(crate) fn new(gpu: &Arc<CudaContext>) -> Result<Self, CudaDriverError> {
        let mut handle = null_mut();
        // SAFETY: the pointer is written to.
        gpu.call("cuStreamCreate", |driver| unsafe {
            (driver.stream_create)(&raw mut handle, NON_BLOCKING)
        })?;
        let gpu = Arc::clone(gpu);
        Ok(Self { gpu, handle })
    }

    /// The driver's handle, which ONNX Runtime takes.
    pub(crate) fn handle(&self) -> Handle {
        self.handle
    }

    /// Waits until all its work is done.
    ///
    /// **Errors**: work on the stream has failed.
    pub(crate) fn synchronize(&self) -> Result<(), CudaDriverError> {
        // SAFETY: the handle is alive.
        self.gpu.call("cuStreamSynchronize", |driver| unsafe {
            (driver.stream_synchronize)(self.handle)
        })
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // SAFETY: the handle is alive and not used again; queued work still completes.
        let _ = self.gpu.call("cuStreamDestroy", |driver| unsafe {
            (driver.stream_destroy)(self.handle)
        });
    }
}

/// An event on a stream.
pub(crate) struct CudaEvent {
    gpu: Arc<CudaContext>,
    handle: Handle,
}

// SAFETY: as for `Gpu`.
unsafe impl Send for CudaEvent {}

impl CudaEvent {
    pub(crate) fn new(gpu: &Arc<CudaContext>) -> Result<Self, CudaDriverError> {
        let mut handle = null_mut();
        // SAFETY: the pointer is written to.
        gpu.call("cuEventCreate", |driver| unsafe {
            (driver.event_create)(&raw mut handle, NO_TIMING)
        })?;
        let gpu = Arc::clone(gpu);
        Ok(Self { gpu, handle })
    }

    /// Records the event after all work queued on the stream so far.
    pub(crate) fn record(&self, stream: &Stream) -> Result<(), CudaDriverError> {
        // SAFETY: both handles are alive.
        self.gpu.call("cuEventRecord", |driver| unsafe {
            (driver.event_record)(self.handle, stream.handle)
        })
    }

    /// Waits for the event; an event that was never recorded is complete.
    ///
    /// **Errors**: earlier work has failed.
    pub(crate) fn synchronize(&self) -> Result<(), CudaDriverError> {
        // SAFETY: the handle is alive.
        self.gpu.call("cuEventSynchronize", |driver| unsafe {
            (driver.event_synchronize)(self.handle)
        })
    }

    /// Whether the event is complete.
    ///
    /// **Errors**: earlier work has failed.
    pub(crate) fn is_done(&self) -> Result<bool, CudaDriverError> {
        self.gpu.enter()?;
        // SAFETY: the handle is alive.
        match unsafe { (self.gpu.driver.event_query)(self.handle) } {
            NOT_READY => Ok(false),
            code => self
                .gpu
                .driver
                .check(self.gpu.index, "cuEventQuery", code)
                .map(|()| true),
        }
    }
}

impl Drop for CudaEvent {
    fn drop(&mut self) {
        // SAFETY: the handle is alive and not used again.
        let _ = self.gpu.call("cuEventDestroy", |driver| unsafe {
            (driver.event_destroy)(self.handle)
        });
    }
}
