//! `vesal devices`: devices and providers of this machine.

use clap::Args;
use serde::Serialize;
use vesal_cli::Text;
use vesal_engine::availability::{self, Availability};
use vesal_engine::library::{self, LibraryOrigin, Runtime};
use vesal_engine::plugin::{self, Provider, ProviderSource};
use vesal_files::VersionedDocument;
use vesal_libraries::cuda::{self, CudaLibrary, CudaLibraryOrigin};

use crate::error::{Error, one_line};
use crate::options::LibraryOptions;

/// Devices and providers of this machine.
#[derive(Debug, Serialize)]
pub struct Devices {
    pub onnxruntime: LoadedLibrary,
    pub devices: Vec<DeviceState>,
    /// Where there is a driver of NVIDIA GPUs, the libraries that ONNX Runtime needs for them.
    pub cuda_libraries: Vec<CudaLibraryState>,
    pub providers: Vec<ProviderState>,
}

impl VersionedDocument for Devices {
    const FORMAT: &str = "vesal-devices";
    const VERSION: u32 = 1;
}

#[derive(Debug, Serialize)]
pub struct LoadedLibrary {
    pub version: String,
    pub path: String,
    pub origin: LibraryOrigin,
}

/// A library of CUDA on this machine.
#[derive(Debug, Serialize)]
pub struct CudaLibraryState {
    pub name: &'static str,
    /// Its file in a Python environment, or the name by which the system's loader finds it; null where it is missing.
    pub source: Option<String>,
    /// Python package that has it.
    pub package: &'static str,
}

#[derive(Debug, Serialize)]
pub struct ProviderState {
    pub provider: Provider,
    /// Its source; null where it is not installed.
    pub source: Option<String>,
    pub usable: bool,
    /// Why it cannot be used.
    pub reason: Option<String>,
}

#[derive(Debug, Serialize)]
pub struct DeviceState {
    pub device: String,
    pub provider: &'static str,
    pub usable: bool,
    /// Why it cannot be used.
    pub reason: Option<String>,
}

/// Library options.
#[derive(Debug, Clone, Args)]
pub struct DevicesOptions {
    #[command(flatten)]
    pub library: LibraryOptions,
}

/// Loads ONNX Runtime and tries every device.
///
/// **Errors**: there is no ONNX Runtime that can be loaded. A device that does not work is part of the result.
pub fn devices(options: &DevicesOptions) -> Result<Devices, Error> {
    let runtime = library::runtime(options.library.ort_lib.as_deref())
        .map_err(|error| Error::Library(error).attempting("cannot list devices"))?;
    Ok(Devices {
        onnxruntime: loaded(runtime),
        devices: availability::available(runtime)
            .into_iter()
            .map(described)
            .collect(),
        cuda_libraries: if cuda::has_driver() {
            cuda::INFERENCE.iter().copied().map(located).collect()
        } else {
            Vec::new()
        },
        providers: plugin::available(runtime).iter().map(offered).collect(),
    })
}

fn located(library: CudaLibrary) -> CudaLibraryState {
    CudaLibraryState {
        name: library.stem,
        source: match cuda::locate(library) {
            CudaLibraryOrigin::Environment(path) => Some(path.display().to_string()),
            CudaLibraryOrigin::System(name) => Some(name),
            CudaLibraryOrigin::Missing => None,
        },
        package: library.package,
    }
}

fn loaded(runtime: &Runtime) -> LoadedLibrary {
    LoadedLibrary {
        version: runtime.version().to_owned(),
        path: runtime.path().display().to_string(),
        origin: runtime.origin(),
    }
}

fn described(found: Availability) -> DeviceState {
    DeviceState {
        device: found.device.to_string(),
        provider: found.provider,
        usable: found.error.is_none(),
        reason: found.error.as_ref().map(|error| one_line(error)),
    }
}

fn offered(found: &plugin::ProviderAvailability) -> ProviderState {
    let source = found.source.as_ref().map(|source| match source {
        ProviderSource::BuiltIn => "the loaded library".to_owned(),
        ProviderSource::Plugin(library) => library.display().to_string(),
    });
    ProviderState {
        provider: found.provider,
        source,
        usable: found.error.is_none(),
        reason: found.error.as_ref().map(|error| one_line(error)),
    }
}

impl Devices {
    /// The devices and providers as text.
    pub fn text(&self) -> Text {
        let row = |device: &DeviceState| {
            let state = device
                .reason
                .as_ref()
                .map_or("ready".into(), |reason| format!("not usable: {reason}"));
            vec![device.device.clone(), state]
        };
        let LoadedLibrary { version, path, .. } = &self.onnxruntime;
        let devices: Vec<_> = self.devices.iter().map(row).collect();
        let row = |provider: &ProviderState| {
            let state = match (&provider.source, &provider.reason) {
                (None, _) => "not installed".into(),
                (Some(source), None) => format!("ready, from {source}"),
                (Some(_), Some(reason)) => format!("not usable: {reason}"),
            };
            vec![provider.provider.to_string(), state]
        };
        let providers: Vec<_> = self.providers.iter().map(row).collect();
        let mut text = Text::new();
        text.line(format!("ONNX Runtime {version} from {path}"))
            .blank();
        text.table(&devices).blank();
        if !self.cuda_libraries.is_empty() {
            let row = |library: &CudaLibraryState| {
                let missing = || format!("missing: `pip install {}` has it", library.package);
                let source = library.source.clone().unwrap_or_else(missing);
                vec![library.name.to_owned(), source]
            };
            let libraries: Vec<_> = self.cuda_libraries.iter().map(row).collect();
            text.line("Libraries of CUDA:").table(&libraries).blank();
        }
        text.line("Other providers, for `--provider`:")
            .table(&providers);
        text
    }
}
