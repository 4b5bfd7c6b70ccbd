//! Numbers brought to the host while the GPU goes on.
#![allow(unsafe_code, reason = "calls the CUDA driver")]

use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};

use cudarc::driver::result as driver;
use cudarc::driver::sys::{CUcontext, CUdeviceptr, CUevent, CUevent_flags, CUstream};

use super::CudaTensor;
use super::error::CudaError;
use super::operation::{Operation, flush};
use super::tensor::is_single;
use crate::reference;
use crate::results::Scalars;

/// Numbers that a page has room for.
const ROOM: usize = 16;

/// Pinned host memory that the GPU writes to, and the event after which the numbers are there; never freed.
#[derive(Debug)]
struct Page {
    values: *mut f32,
    written: CUevent,
    context: CUcontext,
}

// SAFETY: the pointers name memory and objects of the whole process, and a page has one owner.
unsafe impl Send for Page {}

/// Pages that nobody waits for.
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
    /// There is a number at each address, and no more than a page has room for.
    unsafe fn read(
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

/// A page that is being written.
struct Reading {
    page: Page,
    count: usize,
    home: Arc<Mutex<Vec<Page>>>,
}

impl Reading {
    fn wait(self) -> Result<Vec<f32>, CudaError> {
        // SAFETY: the context is the device's primary one, which is never released.
        unsafe {
            driver::ctx::set_current(self.page.context)?;
            driver::event::synchronize(self.page.written)?;
        }
        // SAFETY: the GPU has written these numbers and writes no more.
        let values = unsafe { std::slice::from_raw_parts(self.page.values, self.count) }.to_vec();
        self.home
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(self.page);
        Ok(values)
    }
}

pub fn read_scalars(tensors: Vec<CudaTensor>) -> Scalars {
    let known = |tensor: &CudaTensor| is_single(tensor) && tensor.meta.shape().num_elements() == 1;
    let Some(first) = tensors
        .first()
        .filter(|_| tensors.len() <= ROOM && tensors.iter().all(known))
    else {
        return reference::read_scalars::<super::Cuda>(tensors);
    };
    let device = first.device.clone();
    let mut operation = Operation::beside(first);
    let buffers: Vec<_> = tensors
        .iter()
        .map(|tensor| operation.strided(tensor))
        .collect();
    let (sender, receiver) = mpsc::channel();
    operation.submit(move |gpu, at| {
        let addresses: Vec<_> = buffers.iter().map(|&buffer| at.of(buffer)).collect();
        let (context, stream) = (gpu.context(), gpu.stream());
        // SAFETY: a tensor of one number is behind each address; their count was checked.
        let reading = unsafe { gpu.pages.read(&addresses, context, stream)? };
        // Nobody listens where the training has failed meanwhile.
        let _ = sender.send(reading);
        Ok(())
    });
    flush(&device);
    Scalars::new(move || {
        let reading = receiver.recv().unwrap_or_else(|_| {
            super::operation::panic_if_failed(&device);
            panic!("CubeCL's device thread has ended")
        });
        reading
            .wait()
            .unwrap_or_else(|error| panic!("results cannot be read from the GPU: {error}"))
    })
}
