//! The backend and its tensors.

use burn_cubecl::CubeBackend;
use burn_cubecl::tensor::CubeTensor;
use cubecl::cuda::CudaRuntime;

/// Burn's CUDA backend without kernel fusion.
pub type Cuda = CubeBackend<CudaRuntime, f32, i32, u8>;

pub type CudaTensor = CubeTensor<CudaRuntime>;
