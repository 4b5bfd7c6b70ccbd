//! Errors of CUDA, cuDNN, cuBLAS, NVRTC and NCCL.

use cudarc::cublas::result::CublasError;
use cudarc::cudnn::result::CudnnError;
use cudarc::driver::result as driver;
use cudarc::nvrtc::result::NvrtcError;

/// Why CUDA cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CudaError {
    #[error("the NVIDIA driver (libcuda.so) is not found or does not start")]
    Driver,
    #[error("there is no CUDA device {index}: the driver reports {count}")]
    Device { index: usize, count: usize },
    /// Events of whole contexts exist since CUDA 12.5.
    #[error("the NVIDIA driver is too old: version 555 (CUDA 12.5) or newer is needed")]
    OldDriver,
    #[error("cuDNN 9 (libcudnn.so.9) is not found: install the package nvidia-cudnn-cu13")]
    Cudnn,
    #[error("cuDNN 9 is needed, found version code {0}")]
    CudnnVersion(usize),
    #[error("cuBLAS (libcublas.so) is not found: install the package nvidia-cublas")]
    Cublas,
    #[error("NVRTC (libnvrtc.so) is not found: install the package nvidia-cuda-nvrtc")]
    Nvrtc,
    /// Burn's own kernels include CUDA's headers.
    #[error("CUDA's headers are not found: set CUDA_PATH to a folder with include/")]
    Headers,
    #[error("NCCL 2 (libnccl.so.2) is not found: install the package nvidia-nccl-cu13")]
    Nccl,
    #[error("the kernels do not compile: {0}")]
    Compilation(String),
    /// CubeCL's error where a tensor has no memory.
    #[error("no memory behind a tensor: {0}")]
    Memory(String),
    #[error("cuDNN has no algorithm for a convolution")]
    NoAlgorithm,
    #[error("CUDA: {0}")]
    Call(#[from] driver::DriverError),
    #[error("cuDNN: {0}")]
    CudnnCall(#[from] CudnnError),
    #[error("cuBLAS: {0}")]
    CublasCall(#[from] CublasError),
    #[error("NVRTC: {0}")]
    NvrtcCall(#[from] NvrtcError),
    #[error("NCCL: {0}")]
    NcclCall(String),
}
