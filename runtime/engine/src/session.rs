//! Sessions of ONNX Runtime: one network on one device.

use ort::ep::cuda::ConvAlgorithmSearch;
use ort::ep::{ArenaExtendStrategy, CUDA};
use ort::session::Session;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use thiserror::Error;
use vesal_libraries::cuda as libraries;

use crate::cpu;
use crate::cuda::{Accelerator, KernelElement};
use crate::device::Device;
use crate::library::Runtime;
use crate::optimized_model::{OptimizedModel, WEIGHTS};
use crate::options::{ConvolutionSearch, EngineOptions, InferencePrecision};
use crate::plugin::{self, PluginError, Provider, ProviderOptions};

/// Why a session cannot be made.
#[derive(Debug, Error)]
pub enum SessionError {
    #[error(transparent)]
    Refused(#[from] ort::Error),
    #[error(transparent)]
    Plugin(#[from] PluginError),
}

impl From<ort::Error<SessionBuilder>> for SessionError {
    fn from(error: ort::Error<SessionBuilder>) -> Self {
        Self::Refused(error.into())
    }
}

/// Session option for the folder of external weights, with a folder that cannot exist: networks have no such weights,
/// and none may be read from the current folder.
const WEIGHTS_FOLDER: &str = "session.model_external_initializers_file_folder_path";
const NOWHERE: &str = if cfg!(windows) { "NUL" } else { "/dev/null" };

/// Makes a session of an ONNX file on exactly this device, with the custom operators that it uses; on a GPU, with an
/// accelerator, on its stream and with its operators for networks of this element type.
///
/// On a GPU, convolutions are searched as in the options (not by ONNX Runtime's default, which is eight times slower),
/// on channels-last volumes, and use TF32 as PyTorch does: 10 bits of mantissa in products, sums in `f32`. The arena
/// grows by the requested amounts. Operators that ONNX Runtime would silently place on the processor are an error.
///
/// The device is an argument because that of the options may be `auto`.
///
/// **Errors**: the file is not a valid network, or the device does not run all of it.
pub(crate) fn build(
    runtime: &'static Runtime,
    network: &OptimizedModel,
    device: Device,
    options: &EngineOptions,
    accelerator: Option<(&Accelerator, KernelElement)>,
) -> Result<Session, SessionError> {
    if device.is_gpu() {
        libraries::load(libraries::INFERENCE);
    }
    let mut builder = Session::builder(&runtime.environment)?
        .with_optimization_level(GraphOptimizationLevel::All)?
        // Spinning threads gain nothing here, take a fifth more processor time, and slow down blending.
        .with_intra_op_spinning(false)?
        .with_config_entry(WEIGHTS_FOLDER, NOWHERE)?;
    if let Some(weights) = &network.weights {
        builder = builder.with_external_initializer_file_in_memory(WEIGHTS, weights.clone())?;
    }
    if options.provider != Provider::Native {
        let settings = ProviderOptions {
            device,
            threads: options.threads,
            half: options.precision == InferencePrecision::Float16,
            cache: None,
        };
        builder = plugin::append(builder, runtime, options.provider, &settings)?;
        return Ok(builder.commit_from_memory(&network.bytes)?);
    }
    if !device.is_gpu() {
        // The block of such a pattern comes in addition to what the first run allocated, up to twice as much in all,
        // and saves no time.
        builder = builder.with_memory_pattern(false)?;
    }
    if let Some(own) = &network.own {
        builder = builder.with_operators(cpu::operators(own.processor)?)?;
    }
    if let Some(threads) = options.threads {
        builder = builder.with_intra_threads(threads.get())?;
    }
    if let Device::Cuda(index) = device {
        let search = match options.search {
            ConvolutionSearch::Heuristic => ConvAlgorithmSearch::Heuristic,
            ConvolutionSearch::Exhaustive => ConvAlgorithmSearch::Exhaustive,
        };
        // GPU indices are smaller.
        let mut provider = CUDA::default()
            .with_device_id(i32::try_from(index).unwrap_or(i32::MAX))
            .with_conv_algorithm_search(search)
            .with_arena_extend_strategy(ArenaExtendStrategy::SameAsRequested)
            .with_prefer_nhwc(true)
            .with_tf32(true);
        if let Some(bytes) = options.max_vram {
            provider = provider.with_memory_limit(usize::try_from(bytes).unwrap_or(usize::MAX));
        }
        if let Some((accelerator, element)) = accelerator {
            // SAFETY: the owner of the session keeps the accelerator, and its stream, alive for longer.
            #[allow(unsafe_code)]
            let on_stream = unsafe { provider.with_compute_stream(accelerator.stream()) };
            provider = on_stream;
            builder = builder.with_operators(accelerator.operators(element)?)?;
        }
        builder = builder
            .with_execution_providers([provider.build().error_on_failure()])?
            .with_disable_cpu_fallback()?;
    }
    Ok(builder.commit_from_memory(&network.bytes)?)
}
