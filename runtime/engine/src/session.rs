//! Sessions of ONNX Runtime: one network on one device.

use std::num::NonZeroUsize;

use ort::ep::cuda::ConvAlgorithmSearch;
use ort::ep::{ArenaExtendStrategy, CUDA};
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;

use crate::cuda::{Accelerator, Element};
use crate::device::Device;
use crate::library::Runtime;

/// Makes a session of an ONNX file on exactly this device; on a GPU on the accelerator's stream and with its operators
/// for networks of this element type, if there is one.
///
/// On a GPU, convolutions are chosen by cuDNN's heuristic (its default algorithm is eight times slower), on
/// channels-last volumes, and use TF32, as PyTorch does: 10 bits of mantissa in products, sums in `f32`. Memory grows
/// by what is asked for. No operator may stay on the processor: ONNX Runtime would put it there silently.
///
/// **Errors**: the file is no valid network, or the device does not run all of it.
pub(crate) fn build(
    runtime: &'static Runtime,
    network: &[u8],
    device: Device,
    threads: Option<NonZeroUsize>,
    accelerator: Option<(&Accelerator, Element)>,
) -> Result<Session, ort::Error> {
    let mut builder = Session::builder(&runtime.environment)?
        .with_optimization_level(GraphOptimizationLevel::All)?;
    if let Some(threads) = threads {
        builder = builder.with_intra_threads(threads.get())?;
    }
    if let Device::Cuda(index) = device {
        // An index beyond what CUDA can count to is a GPU that is not there.
        let mut provider = CUDA::default()
            .with_device_id(i32::try_from(index).unwrap_or(i32::MAX))
            .with_conv_algorithm_search(ConvAlgorithmSearch::Heuristic)
            .with_arena_extend_strategy(ArenaExtendStrategy::SameAsRequested)
            .with_prefer_nhwc(true)
            .with_tf32(true);
        if let Some((accelerator, element)) = accelerator {
            // SAFETY: whoever holds the session keeps the accelerator, and its stream, for longer.
            #[allow(unsafe_code)]
            let on_stream = unsafe { provider.with_compute_stream(accelerator.stream()) };
            provider = on_stream;
            builder = builder.with_operators(accelerator.operators(element)?)?;
        }
        builder = builder
            .with_execution_providers([provider.build().error_on_failure()])?
            .with_disable_cpu_fallback()?;
    }
    builder.commit_from_memory(network)
}
