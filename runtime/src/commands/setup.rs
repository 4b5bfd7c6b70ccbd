//! `vesal setup`: fetches ONNX Runtime into the user's cache.

use std::fs;
use std::path::{Path, PathBuf};

use vesal_cli::{Exit, Failure, Text, stderr};
use vesal_engine::install::{self, InstallError, VERSION, Variant};
use vesal_engine::library::{cache_directory, installed, library_in};

use crate::cli::SetupArguments;
use vesal_cli::stdout;

/// Fetches the library unless it is there as it was fetched, and prints where it is.
pub fn run(arguments: &SetupArguments) -> Result<Exit, Failure> {
    let variant = if arguments.cuda {
        Variant::Cuda
    } else {
        Variant::Cpu
    };
    let cache = cache_directory()
        .ok_or(InstallError::NoCache)
        .map_err(failed)?;
    let folder = cache.join(variant.folder());
    let present = library_in(&folder).filter(|path| installed::check(path).is_ok());
    let (path, how) = match present {
        Some(path) if !arguments.force => (path, "is there already"),
        _ if folder.exists() => (
            replace(&cache, variant).map_err(failed)?,
            "was fetched again",
        ),
        _ => {
            tell_fetching(variant);
            (install::fetch(variant).map_err(failed)?.path, "was fetched")
        }
    };
    let mut text = Text::new();
    text.line(format!("ONNX Runtime {VERSION} {how}: {}", path.display()));
    stdout::print(&text)?;
    Ok(Exit::Success)
}

fn tell_fetching(variant: Variant) {
    stderr::say(format!(
        "fetching `{}` {VERSION} with pip",
        variant.package()
    ));
}

/// Fetches beside what is there, and only then takes its place.
fn replace(cache: &Path, variant: Variant) -> Result<PathBuf, InstallError> {
    tell_fetching(variant);
    let write = |path: &Path| {
        let path = path.to_path_buf();
        move |source| InstallError::Write { path, source }
    };
    let staging = tempfile::Builder::new()
        .prefix(".replace-")
        .tempdir_in(cache)
        .map_err(write(cache))?;
    install::fetch_into(staging.path(), variant)?;
    let (folder, fresh) = (
        cache.join(variant.folder()),
        staging.path().join(variant.folder()),
    );
    let previous = staging.path().join("previous");
    fs::rename(&folder, &previous).map_err(write(&folder))?;
    if let Err(source) = fs::rename(&fresh, &folder) {
        fs::rename(&previous, &folder).map_err(write(&folder))?;
        return Err(write(&folder)(source));
    }
    // The folder was just put there, library and all.
    Ok(library_in(&folder).unwrap_or(folder))
}

fn failed(error: InstallError) -> Failure {
    let exit = if matches!(error, InstallError::Write { .. }) {
        Exit::Output
    } else {
        Exit::Device
    };
    let hint = error.hint().map(str::to_owned);
    Failure::new(exit, error)
        .attempting("cannot fetch ONNX Runtime")
        .hint(hint)
}
