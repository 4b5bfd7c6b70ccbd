//! Events of whole contexts.
#![allow(unsafe_code, reason = "looks symbols of the driver up")]

use cudarc::driver::sys as driver_sys;

use super::error::CudaError;

/// A function that records or waits for an event on a whole context.
pub type ContextEvent =
    unsafe extern "C" fn(driver_sys::CUcontext, driver_sys::CUevent) -> driver_sys::CUresult;

/// `cuCtxRecordEvent` and `cuCtxWaitEvent`, which cudarc declares only when built with a toolkit that has them.
pub fn context_events() -> Result<[ContextEvent; 2], CudaError> {
    // SAFETY: the library is loaded for good, and the symbols have this signature since they exist.
    unsafe {
        let library = driver_sys::culib();
        let record = library.get::<ContextEvent>(b"cuCtxRecordEvent\0");
        let wait = library.get::<ContextEvent>(b"cuCtxWaitEvent\0");
        match (record, wait) {
            (Ok(record), Ok(wait)) => Ok([*record, *wait]),
            _ => Err(CudaError::OldDriver),
        }
    }
}
