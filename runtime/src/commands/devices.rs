//! `vesal devices`: what networks can run on here.

use serde::Serialize;
use vesal_cli::{Exit, Failure, Text};
use vesal_engine::availability::{self, Availability};
use vesal_engine::library::{self, LibraryOrigin, Runtime};
use vesal_engine::plugin::{self, Provider, ProviderSource};

use crate::cli::DevicesArguments;
use crate::failure;
use vesal_cli::stdout;

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Document {
    format: &'static str,
    format_version: u32,
    onnxruntime: LibraryDocument,
    devices: Vec<DeviceDocument>,
    providers: Vec<ProviderDocument>,
}

#[derive(Debug, Serialize)]
struct LibraryDocument {
    version: String,
    path: String,
    origin: LibraryOrigin,
}

#[derive(Debug, Serialize)]
struct ProviderDocument {
    provider: Provider,
    source: Option<String>,
    usable: bool,
    reason: Option<String>,
}

#[derive(Debug, Serialize)]
struct DeviceDocument {
    device: String,
    provider: &'static str,
    usable: bool,
    reason: Option<String>,
}

/// Loads ONNX Runtime and tries every device.
pub fn run(arguments: &DevicesArguments) -> Result<Exit, Failure> {
    let runtime = library::runtime(arguments.library.ort_lib.as_deref())
        .map_err(|error| failure::library(error).attempting("cannot list devices"))?;
    let devices = availability::available(runtime)
        .into_iter()
        .map(described)
        .collect();
    let document = Document {
        format: "vesal-devices",
        format_version: 1,
        onnxruntime: loaded(runtime),
        devices,
        providers: plugin::available(runtime).iter().map(offered).collect(),
    };
    if arguments.json {
        stdout::print_json(&document)?;
    } else {
        stdout::print(&text(&document))?;
    }
    Ok(Exit::Success)
}

fn loaded(runtime: &Runtime) -> LibraryDocument {
    LibraryDocument {
        version: runtime.version().to_owned(),
        path: runtime.path().display().to_string(),
        origin: runtime.origin(),
    }
}

fn described(found: Availability) -> DeviceDocument {
    DeviceDocument {
        device: found.device.to_string(),
        provider: found.provider,
        usable: found.error.is_none(),
        reason: found.error.as_ref().map(|error| failure::one_line(error)),
    }
}

fn offered(found: &plugin::ProviderAvailability) -> ProviderDocument {
    let source = found.source.as_ref().map(|source| match source {
        ProviderSource::BuiltIn => "the loaded library".to_owned(),
        ProviderSource::Plugin(library) => library.display().to_string(),
    });
    ProviderDocument {
        provider: found.provider,
        source,
        usable: found.error.is_none(),
        reason: found.error.as_ref().map(|error| failure::one_line(error)),
    }
}

fn text(document: &Document) -> Text {
    let row = |device: &DeviceDocument| {
        let state = device
            .reason
            .as_ref()
            .map_or("ready".into(), |reason| format!("not usable: {reason}"));
        vec![device.device.clone(), state]
    };
    let LibraryDocument { version, path, .. } = &document.onnxruntime;
    let devices: Vec<_> = document.devices.iter().map(row).collect();
    let row = |provider: &ProviderDocument| {
        let state = match (&provider.source, &provider.reason) {
            (None, _) => "not installed".into(),
            (Some(source), None) => format!("ready, from {source}"),
            (Some(_), Some(reason)) => format!("not usable: {reason}"),
        };
        vec![provider.provider.to_string(), state]
    };
    let providers: Vec<_> = document.providers.iter().map(row).collect();
    let mut text = Text::new();
    text.line(format!("ONNX Runtime {version} from {path}"))
        .blank();
    text.table(&devices).blank();
    text.line("Other providers, for `--provider`:")
        .table(&providers);
    text
}
