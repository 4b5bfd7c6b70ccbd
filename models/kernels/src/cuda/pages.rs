//! Host memory that the GPU writes numbers to.
#![allow(unsafe_code, reason = "calls the CUDA driver")]

use std::sync::{Arc, Mutex, PoisonError};

use cudarc::driver::result as driver;
use cudarc::driver::sys::{CUcontext, CUdeviceptr, CUevent, CUevent_flags, CUstream};

use super::error::CudaError;

/// Most numbers per page.
pub const ROOM: usize = 16;

/// Pinned host memory that the GPU writes to, and the event after which the numbers are there; never freed.
#[derive(Debug)]
struct Page {
    values: *mut f32,
    written: CUevent,
    context: CUcontext,
}

// SAFETY: the pointers name memory and objects of the whole process, and a page has one owner.
unsafe impl Send for Page {}

/// Pages that are not in use.
#[derive(Debug, Default)]
pub struct Pages(Arc<Mutex<Vec<Page>>>);

impl Pages {
    /// A page of this context, current on this thread.
    fn take(&self, context: CUcontext) -> Result<Page, CudaError> {
        let free = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(page) = free {
            return Ok(page);
        }
        // SAFETY: both are made in the current context.
        unsafe {
            Ok(Page {
                values: driver::malloc_host(ROOM * size_of::<f32>(), 0)?.cast(),
                written: driver::event::create(CUevent_flags::CU_EVENT_BLOCKING_SYNC)?,
                context,
            })
        }
    }

    /// Starts to copy numbers from these addresses; the page waits for them.
    ///
    /// # Safety
    ///
    /// There is a number at each address, and their count fits a page.
    pub unsafe fn read(
        &self,
        addresses: &[CUdeviceptr],
        context: CUcontext,
        stream: CUstream,
    ) -> Result<Reading, CudaError> {
        let page = self.take(context)?;
        for (index, &address) in addresses.iter().enumerate() {
            // SAFETY: promised by the caller; the page lives forever.
            unsafe {
                let place = std::slice::from_raw_parts_mut(page.values.add(index), 1);
                driver::memcpy_dtoh_async(place, address, stream)?;
            }
        }
        // SAFETY: event and stream are of this context.
        unsafe { driver::event::record(page.written, stream)? };
        Ok(Reading {
            page,
            count: addresses.len(),
            home: Arc::clone(&self.0),
        })
    }
}

/// A page that the GPU is writing to.
pub struct Reading {
    page: Page,
    count: usize,
    home: Arc<Mutex<Vec<Page>>>,
}

impl Reading {
    pub fn wait(self) -> Result<Vec<f32>, CudaError> {
        // SAFETY: the context is the device's primary one, which is never released.
        unsafe {
            driver::ctx::set_current(self.page.context)?;
            driver::event::synchronize(self.page.written)?;
        }
        // SAFETY: the GPU has finished writing these numbers.
        let values = unsafe { std::slice::from_raw_parts(self.page.values, self.count) }.to_vec();
        self.home
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(self.page);
        Ok(values)
    }
}
