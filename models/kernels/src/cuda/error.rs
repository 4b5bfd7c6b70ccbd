//! What may be missing or fail.
#![allow(unsafe_code, reason = "asks the driver and cuDNN")]

use cubecl::cuda::install;
use cudarc::cudnn::result::CudnnError;
use cudarc::cudnn::sys as cudnn;
use cudarc::driver::result as driver;
use cudarc::driver::sys as driver_sys;
use cudarc::nvrtc::result::NvrtcError;
use cudarc::nvrtc::sys as nvrtc;

use super::nccl::Nccl;

/// Why CUDA cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CudaError {
    /// No driver.
    #[error("the NVIDIA driver (libcuda.so) is not found or does not start")]
    Driver,
    /// No such device.
    #[error("there is no CUDA device {index}: the driver reports {count}")]
    Device {
        /// The one asked for.
        index: usize,
        /// How many there are.
        count: usize,
    },
    /// Events of whole contexts came with CUDA 12.5.
    #[error("the NVIDIA driver is too old: version 555 (CUDA 12.5) or newer is needed")]
    OldDriver,
    /// No cuDNN.
    #[error("cuDNN 9 (libcudnn.so.9) is not found: add its folder to LD_LIBRARY_PATH")]
    Cudnn,
    /// Another cuDNN.
    #[error("cuDNN 9 is needed, found version code {0}")]
    CudnnVersion(usize),
    /// No runtime compiler.
    #[error("NVRTC (libnvrtc.so) is not found: add its folder to LD_LIBRARY_PATH")]
    Nvrtc,
    /// Burn's own kernels include them.
    #[error("CUDA's headers are not found: set CUDA_PATH to a folder with include/")]
    Headers,
    /// No NCCL.
    #[error("NCCL 2 (libnccl.so.2) is not found: add its folder to LD_LIBRARY_PATH")]
    Nccl,
    /// A kernel source did not compile.
    #[error("the kernels do not compile: {0}")]
    Compilation(String),
    /// CubeCL has no memory for a tensor.
    #[error("no memory behind a tensor: {0}")]
    Memory(String),
    /// No algorithm runs a convolution.
    #[error("cuDNN has no algorithm for a convolution")]
    NoAlgorithm,
    /// A call of the driver's.
    #[error("CUDA: {0}")]
    Call(#[from] driver::DriverError),
    /// A call of cuDNN's.
    #[error("cuDNN: {0}")]
    CudnnCall(#[from] CudnnError),
    /// A call of NVRTC's.
    #[error("NVRTC: {0}")]
    NvrtcCall(#[from] NvrtcError),
    /// A call of NCCL's.
    #[error("NCCL: {0}")]
    NcclCall(String),
}

/// A function that records or waits for an event on a whole context.
pub(super) type ContextEvent =
    unsafe extern "C" fn(driver_sys::CUcontext, driver_sys::CUevent) -> driver_sys::CUresult;

/// `cuCtxRecordEvent` and `cuCtxWaitEvent`, which cudarc declares only if built beside a toolkit that has them.
pub(super) fn context_events() -> Result<[ContextEvent; 2], CudaError> {
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

/// Whether everything is there that training on a device needs.
///
/// Loads the libraries, but computes nothing.
///
/// **Errors**: names the first thing that is missing.
pub fn check(index: usize) -> Result<(), CudaError> {
    // SAFETY: only tries to load the library.
    if !unsafe { driver_sys::is_culib_present() } || driver::init().is_err() {
        return Err(CudaError::Driver);
    }
    let count = usize::try_from(driver::device::get_count()?).unwrap_or(0);
    if index >= count {
        return Err(CudaError::Device { index, count });
    }
    context_events()?;
    // SAFETY: only tries to load the library.
    if !unsafe { nvrtc::is_culib_present() } {
        return Err(CudaError::Nvrtc);
    }
    if install::cuda_path().is_none_or(|path| !path.join("include").exists()) {
        return Err(CudaError::Headers);
    }
    // SAFETY: only tries to load the library.
    if !unsafe { cudnn::is_culib_present() } {
        return Err(CudaError::Cudnn);
    }
    // SAFETY: takes nothing and cannot fail.
    let version = unsafe { cudnn::cudnnGetVersion() };
    if !(90_000..100_000).contains(&version) {
        return Err(CudaError::CudnnVersion(version));
    }
    Ok(())
}

/// Whether NCCL is there, which computing on several devices at once needs.
///
/// **Errors**: [`CudaError::Nccl`].
pub fn check_nccl() -> Result<(), CudaError> {
    Nccl::get().map(|_| ())
}
