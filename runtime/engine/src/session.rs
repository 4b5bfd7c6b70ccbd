//! Sessions of ONNX Runtime: one network on one device.

use ort::ep::CUDA;
use ort::ep::cuda::ConvAlgorithmSearch;
use ort::session::Session;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};

use crate::device::Device;
use crate::library::{Runtime, cache_directory};
use crate::options::{ConvolutionSearch, EngineOptions, Precision};
use crate::plugin::{self, PluginError, ProviderOptions};

/// Makes a session of an ONNX file on exactly this device.
///
/// On a GPU, convolutions are chosen as the options say (never by ONNX Runtime's default, eight times slower) and use
/// TF32, as PyTorch does: 10 bits of mantissa in products, sums in `f32`. No operator may stay on the processor: ONNX
/// Runtime would put it there silently.
///
/// The device is an argument because that of the options may be `auto`.
///
/// **Errors**: the file is no valid network, or the device does not run all of it.
pub(crate) fn build(
    runtime: &'static Runtime,
    network: &[u8],
    device: Device,
    options: &EngineOptions,
) -> Result<Session, ort::Error> {
    let mut builder = begin(runtime, options)?;
    if let Device::Cuda(index) = device {
        let search = match options.search {
            ConvolutionSearch::Heuristic => ConvAlgorithmSearch::Heuristic,
            ConvolutionSearch::Exhaustive => ConvAlgorithmSearch::Exhaustive,
        };
        // An index beyond what CUDA can count to is a GPU that is not there.
        let provider = CUDA::default()
            .with_device_id(i32::try_from(index).unwrap_or(i32::MAX))
            .with_conv_algorithm_search(search)
            .with_tf32(true)
            .build()
            .error_on_failure();
        builder = builder
            .with_execution_providers([provider])?
            .with_disable_cpu_fallback()?;
    }
    builder.commit_from_memory(network)
}

/// Makes a session that another provider than ONNX Runtime's own runs, all of it.
///
/// **Errors**: the provider is not there, is for another device, or refuses the network.
pub(crate) fn build_with(
    runtime: &'static Runtime,
    network: &[u8],
    device: Device,
    options: &EngineOptions,
) -> Result<Session, PluginError> {
    let provider = options.provider;
    let start = |source| PluginError::Start { provider, source };
    let provider_options = ProviderOptions {
        device,
        threads: options.threads,
        half: options.precision == Precision::Float16,
        cache: cache_directory().map(|cache| cache.join(provider.name())),
    };
    let builder = begin(runtime, options).map_err(start)?;
    plugin::append(builder, runtime, provider, &provider_options)?
        .commit_from_memory(network)
        .map_err(start)
}

fn begin(runtime: &'static Runtime, options: &EngineOptions) -> Result<SessionBuilder, ort::Error> {
    let builder = Session::builder(&runtime.environment)?
        .with_optimization_level(GraphOptimizationLevel::All)?;
    Ok(match options.threads {
        Some(threads) => builder.with_intra_threads(threads.get())?,
        None => builder,
    })
}
