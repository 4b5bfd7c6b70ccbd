//! What may be missing or fail.

use cudarc::cudnn::result::CudnnError;
use cudarc::driver::result as driver;
use cudarc::nvrtc::result::NvrtcError;

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
