//! Sessions of ONNX Runtime: one network on one device.

use std::num::NonZeroUsize;

use ort::ep::CUDA;
use ort::ep::cuda::ConvAlgorithmSearch;
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;

use crate::device::Device;
use crate::library::Runtime;

/// Makes a session of an ONNX file on exactly this device.
///
/// On a GPU, convolutions are chosen by cuDNN's heuristic (its default algorithm is eight times slower) and use TF32,
/// as PyTorch does: 10 bits of mantissa in products, sums in `f32`. No operator may stay on the processor: ONNX Runtime
/// would put it there silently.
///
/// **Errors**: the file is no valid network, or the device does not run all of it.
pub(crate) fn build(
    runtime: &'static Runtime,
    network: &[u8],
    device: Device,
    threads: Option<NonZeroUsize>,
) -> Result<Session, ort::Error> {
    let mut builder = Session::builder(&runtime.environment)?
        .with_optimization_level(GraphOptimizationLevel::All)?;
    if let Some(threads) = threads {
        builder = builder.with_intra_threads(threads.get())?;
    }
    if let Device::Cuda(index) = device {
        // An index beyond what CUDA can count to is a GPU that is not there.
        let provider = CUDA::default()
            .with_device_id(i32::try_from(index).unwrap_or(i32::MAX))
            .with_conv_algorithm_search(ConvAlgorithmSearch::Heuristic)
            .with_tf32(true)
            .build()
            .error_on_failure();
        builder = builder
            .with_execution_providers([provider])?
            .with_disable_cpu_fallback()?;
    }
    builder.commit_from_memory(network)
}
