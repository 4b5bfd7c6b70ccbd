//! Adding providers to sessions.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;

use ort::device::Device as Offered;
use ort::ep::{ExecutionProvider, NVRTX, OpenVINO};
use ort::memory::DeviceType;
use ort::session::Session;
use ort::session::builder::SessionBuilder;

use super::find::Locations;
use super::{OTHERS, PluginError, Provider, ProviderAvailability, ProviderOptions, ProviderSource};
use crate::device::{Device, RELU};
use crate::library::Runtime;

/// Plugins that ONNX Runtime has loaded. Each is registered once and stays until the process ends.
static REGISTERED: Mutex<Option<HashMap<Provider, PathBuf>>> = Mutex::new(None);

/// Makes a provider run all of a network: without this setting, ONNX Runtime's own kernels would silently run the
/// operators that the provider does not support. [`Provider::Native`] changes nothing.
///
/// The network's free dimensions should be fixed: a provider that compiles for a shape then does so when the session is
/// made.
///
/// **Errors**: the provider is for another device, is absent, or does not start.
pub fn append(
    builder: SessionBuilder,
    runtime: &'static Runtime,
    provider: Provider,
    options: &ProviderOptions,
) -> Result<SessionBuilder, PluginError> {
    if provider == Provider::Native {
        return Ok(builder);
    }
    let device = match options.device {
        Device::Auto => provider.preferred(),
        device => device,
    };
    if !provider.serves(device) {
        return Err(PluginError::Device { provider, device });
    }
    let start = |source| PluginError::Start { provider, source };
    let settings = settings(provider, options);
    let builder = match source(runtime, provider)? {
        ProviderSource::BuiltIn => built_in(builder, provider, device, settings).map_err(start)?,
        ProviderSource::Plugin(library) => {
            let offered = device_of(runtime, provider, device, &library)?;
            let name = canonical_name(provider);
            let settings: Vec<_> = settings
                .into_iter()
                .map(|(key, value)| (format!("{name}.{key}"), value))
                .collect();
            builder
                .with_devices([offered], Some(&settings))
                .map_err(|error| start(error.into()))?
        }
    };
    builder
        .with_disable_cpu_fallback()
        .map_err(|error| start(error.into()))
}

/// Lists the providers that are not part of ONNX Runtime, and tries each on the device that it is for.
pub fn available(runtime: &'static Runtime) -> Vec<ProviderAvailability> {
    OTHERS
        .into_iter()
        .map(|provider| {
            let source = source(runtime, provider);
            let error = match &source {
                Ok(_) => try_provider(runtime, provider).err(),
                Err(_) => None,
            };
            let (source, missing) = match source {
                Ok(source) => (Some(source), None),
                Err(error) => (None, Some(error)),
            };
            ProviderAvailability {
                provider,
                source,
                error: missing.or(error),
            }
        })
        .collect()
}

fn try_provider(runtime: &'static Runtime, provider: Provider) -> Result<(), PluginError> {
    let start = |source| PluginError::Start { provider, source };
    let builder = Session::builder(&runtime.environment).map_err(start)?;
    append(builder, runtime, provider, &ProviderOptions::default())?
        .commit_from_memory(RELU)
        .map(drop)
        .map_err(start)
}

/// Source of a provider: the loaded library if it was built with it, else its plugin.
fn source(runtime: &'static Runtime, provider: Provider) -> Result<ProviderSource, PluginError> {
    let built_in = match provider {
        Provider::Native => Ok(true),
        Provider::OpenVino => OpenVINO::is_available(),
        Provider::TensorRtRtx => NVRTX::is_available(),
    };
    if built_in.map_err(|source| PluginError::Start { provider, source })? {
        return Ok(ProviderSource::BuiltIn);
    }
    let mut registered = REGISTERED.lock().unwrap_or_else(PoisonError::into_inner);
    let registered = registered.get_or_insert_default();
    if let Some(library) = registered.get(&provider) {
        return Ok(ProviderSource::Plugin(library.clone()));
    }
    let library = Locations::of_this_process().find(provider)?;
    let library = vesal_libraries::check(&library).map_err(|source| PluginError::Place {
        provider,
        source: Box::new(source.into()),
    })?;
    load_companions(provider, &library);
    runtime
        .environment
        .register_ep_library(provider.name(), &library)
        .map_err(|source| PluginError::Register {
            provider,
            library: library.clone(),
            source,
        })?;
    registered.insert(provider, library.clone());
    Ok(ProviderSource::Plugin(library))
}

/// Loads the libraries beside a plugin that it needs but does not find by itself.
///
/// The dynamic loader reuses a loaded library of the same name. All libraries beside the plugin were checked with it.
/// Those that cannot be loaded are skipped; the plugin's own error then names what is missing.
fn load_companions(provider: Provider, plugin: &Path) {
    let wanted: &[&str] = match provider {
        Provider::TensorRtRtx => &["cudart", "tensorrt_rtx", "tensorrt_onnxparser_rtx"],
        Provider::OpenVino | Provider::Native => &[],
    };
    let files: Vec<PathBuf> = plugin
        .parent()
        .and_then(|folder| folder.read_dir().ok())
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    for name in wanted {
        for path in files.iter().filter(|path| is_library(path, name)) {
            let _ = ort::util::preload_dylib(path);
        }
    }
}

/// Whether a file is the library of this name, in some version: there may be libraries with longer names, and headers.
pub(super) fn is_library(path: &Path, name: &str) -> bool {
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    let versioned = file.strip_prefix("lib").unwrap_or(&file);
    let Some(rest) = versioned.strip_prefix(name) else {
        return false;
    };
    // `libcudart.so.13.4.36`, `cudart64_13.dll`, `tensorrt_rtx_1_7.dll`
    let version = |c: char| c.is_ascii_digit() || c == '_';
    rest == ".so" || rest.starts_with(".so.") || rest.trim_start_matches(version) == ".dll"
}

/// ONNX Runtime's name of a provider.
fn canonical_name(provider: Provider) -> &'static str {
    match provider {
        Provider::Native => "CPUExecutionProvider",
        Provider::OpenVino => OpenVINO::NAME,
        Provider::TensorRtRtx => NVRTX::NAME,
    }
}

/// The device of ONNX Runtime's list that a plugin offers for one of ours.
fn device_of(
    runtime: &'static Runtime,
    provider: Provider,
    device: Device,
    library: &Path,
) -> Result<Offered<'static>, PluginError> {
    let (kind, index) = match device {
        Device::Cuda(index) => (DeviceType::GPU, index as usize),
        Device::Auto | Device::Cpu => (DeviceType::CPU, 0),
    };
    let name = canonical_name(provider);
    let mut offered: Vec<Offered<'static>> = runtime
        .environment
        .devices()
        .filter(|offered| offered.ep().is_ok_and(|found| found == name))
        .filter(|offered| offered.hardware_device().ty() == kind)
        .collect();
    if index >= offered.len() {
        return Err(PluginError::NoDevice {
            provider,
            library: library.to_path_buf(),
            device,
            index,
            offered: offered.len(),
        });
    }
    Ok(offered.swap_remove(index))
}

/// Options of a provider that is part of the loaded library.
fn built_in(
    builder: SessionBuilder,
    provider: Provider,
    device: Device,
    settings: Vec<(&'static str, String)>,
) -> Result<SessionBuilder, ort::Error> {
    use ort::ep::ArbitrarilyConfigurableExecutionProvider;

    let dispatch = match provider {
        Provider::Native => return Ok(builder),
        Provider::OpenVino => settings
            .into_iter()
            .fold(
                OpenVINO::default().with_device_type("CPU"),
                |ep, (key, value)| ep.with_arbitrary_config(key, value),
            )
            .build(),
        Provider::TensorRtRtx => {
            let index = match device {
                Device::Cuda(index) => index,
                Device::Auto | Device::Cpu => 0,
            };
            settings
                .into_iter()
                .fold(
                    NVRTX::default().with_device_id(index),
                    |ep, (key, value)| ep.with_arbitrary_config(key, value),
                )
                .build()
        }
    };
    Ok(builder.with_execution_providers([dispatch.error_on_failure()])?)
}

/// Options of a provider, by the names that its plugin and its built-in form share.
///
/// OpenVINO defaults to 16 bits where the processor supports them, and to eight threads, so both options are always
/// set.
fn settings(provider: Provider, options: &ProviderOptions) -> Vec<(&'static str, String)> {
    match provider {
        Provider::Native => Vec::new(),
        Provider::OpenVino => {
            let threads = options
                .threads
                .or_else(|| thread::available_parallelism().ok());
            let precision = if options.half { "f16" } else { "f32" };
            vec![
                (
                    "num_of_threads",
                    threads.map_or(1, NonZeroUsize::get).to_string(),
                ),
                ("num_streams", "1".into()),
                (
                    "load_config",
                    format!(r#"{{"CPU":{{"INFERENCE_PRECISION_HINT":"{precision}"}}}}"#),
                ),
            ]
        }
        Provider::TensorRtRtx => {
            let cache = options.cache.as_ref();
            cache
                .map(|folder| ("nv_runtime_cache_path", folder.display().to_string()))
                .into_iter()
                .collect()
        }
    }
}
