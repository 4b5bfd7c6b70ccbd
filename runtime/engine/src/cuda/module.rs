//! Machine code on a GPU, and its kernels.

use std::ffi::{CString, c_void};
use std::ptr::null_mut;
use std::sync::Arc;

use super::driver::{CudaDriverError, Handle};
use super::gpu::CudaContext;

/// Machine code on a GPU.
pub(crate) struct Module {
    gpu: Arc<CudaContext>,
    handle: Handle,
}

// SAFETY: as for `Gpu`.
unsafe impl Send for Module {}
// SAFETY: as for `Gpu`.
unsafe impl Sync for Module {}

impl Module {
    /// Loads code that nvcc compiled.
    ///
    /// **Errors**: it has no code for this GPU.
    pub(crate) fn load(
        gpu: &Arc<CudaContext>,
        image: &'static [u8],
    ) -> Result<Self, CudaDriverError> {
        let mut handle = null_mut();
        // SAFETY: the pointer is written to; an image states its own length and was made by nvcc.
        gpu.call("cuModuleLoadData", |driver| unsafe {
            (driver.module_load)(&raw mut handle, image.as_ptr().cast())
        })?;
        let gpu = Arc::clone(gpu);
        Ok(Self { gpu, handle })
    }

    /// Finds a kernel by its name.
    ///
    /// **Errors**: there is none.
    pub(crate) fn kernel(&self, name: &'static str) -> Result<Kernel, CudaDriverError> {
        let mut handle = null_mut();
        let symbol = CString::new(name).unwrap_or_default();
        // SAFETY: the pointer is written to; the module is alive and the name ends with a zero.
        self.gpu.call("cuModuleGetFunction", |driver| unsafe {
            (driver.module_function)(&raw mut handle, self.handle, symbol.as_ptr())
        })?;
        Ok(Kernel { handle })
    }

    /// Launches a kernel of this module in the order of a stream.
    ///
    /// # Safety
    ///
    /// Arguments have the kernel's types, and the memory that it reads and writes stays allocated until it has run.
    ///
    /// **Errors**: an error of the driver.
    pub(crate) unsafe fn launch(
        &self,
        kernel: Kernel,
        grid: [u32; 3],
        block: [u32; 2],
        stream: Handle,
        arguments: &mut [*mut c_void],
    ) -> Result<(), CudaDriverError> {
        let ([x, y, z], [i, j]) = (grid, block);
        // SAFETY: the kernel belongs to this module; the caller guarantees the rest.
        self.gpu.call("cuLaunchKernel", |driver| unsafe {
            (driver.launch)(
                kernel.handle,
                x,
                y,
                z,
                i,
                j,
                1,
                0,
                stream,
                arguments.as_mut_ptr(),
                null_mut(),
            )
        })
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        // SAFETY: the handle is alive and not used again.
        let _ = self.gpu.call("cuModuleUnload", |driver| unsafe {
            (driver.module_unload)(self.handle)
        });
    }
}

/// A kernel of a module.
#[derive(Clone, Copy)]
pub(crate) struct Kernel {
    handle: Handle,
}

// SAFETY: as for `Gpu`.
unsafe impl Send for Kernel {}
// SAFETY: as for `Gpu`.
unsafe impl Sync for Kernel {}
