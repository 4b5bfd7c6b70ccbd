//! Requirements of CUDA.
#![allow(unsafe_code, reason = "asks the driver and libraries")]

use cubecl::cuda::install;
use cudarc::cublas::sys as cublas;
use cudarc::cudnn::sys as cudnn;
use cudarc::driver::result as driver;
use cudarc::driver::sys as driver_sys;
use cudarc::nvrtc::sys as nvrtc;

use super::context_events::context_events;
use super::error::CudaError;
use super::nccl::Nccl;

/// Checks that everything that training on a device needs is installed.
///
/// Loads the libraries, but computes nothing.
///
/// **Errors**: the first missing requirement.
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
    // SAFETY: only tries to load the library.
    if !unsafe { cublas::is_culib_present() } {
        return Err(CudaError::Cublas);
    }
    Ok(())
}

/// Checks that NCCL is installed, which training on several devices needs.
///
/// **Errors**: [`CudaError::Nccl`].
pub fn check_nccl() -> Result<(), CudaError> {
    Nccl::get().map(|_| ())
}
