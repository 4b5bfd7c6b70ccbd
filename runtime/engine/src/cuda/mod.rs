//! Kernels on an NVIDIA GPU besides ONNX Runtime's: a fused normalization inside of networks, and cutting and blending
//! of windows around them, so that the GPU never waits for the host.
//!
//! The driver is loaded at run time and the kernels are compiled in advance (`kernels/build.sh`): building needs
//! nothing of CUDA, and without a GPU none of this is used. ONNX Runtime's sessions run on the stream of these kernels,
//! in order with them.

mod accelerator;
mod buffers;
mod download;
mod driver;
mod gpu;
mod inferer;
mod kernels;
mod memory;
mod module;
mod operator;

pub(crate) use accelerator::Accelerator;
pub(crate) use buffers::plane_batch_bytes;
pub use driver::CudaDriverError;
pub(crate) use inferer::{CudaInferer, device_bytes};
pub(crate) use kernels::KernelElement;
