//! `vesal setup`: fetches ONNX Runtime into the user's cache.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use vesal_cli::Text;
use vesal_engine::install::{self, InstallError, VERSION, Variant};
use vesal_engine::library::{cache_directory, installed, library_in};

use crate::error::Error;
use crate::observe::Observer;

/// Which library is fetched.
#[derive(Debug, Clone, Args)]
pub struct SetupOptions {
    /// Fetch the build for NVIDIA GPUs, which is much larger
    #[arg(long)]
    pub cuda: bool,
    /// Fetch it again even if it is installed
    #[arg(long)]
    pub force: bool,
}

/// Where the library is, and what was done for it.
#[derive(Debug)]
pub struct Installed {
    pub path: PathBuf,
    pub outcome: SetupOutcome,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetupOutcome {
    /// It is as it was fetched before.
    Present,
    Fetched,
    /// It was there, and was replaced.
    FetchedAgain,
}

/// Fetches the library unless it is there as it was fetched.
///
/// **Errors**: pip does not fetch it, or it cannot be written.
pub fn setup(options: &SetupOptions, observer: &dyn Observer) -> Result<Installed, Error> {
    install(options, observer)
        .map_err(|error| Error::Install(error).attempting("cannot fetch ONNX Runtime"))
}

fn install(options: &SetupOptions, observer: &dyn Observer) -> Result<Installed, InstallError> {
    let variant = if options.cuda {
        Variant::Cuda
    } else {
        Variant::Cpu
    };
    let cache = cache_directory().ok_or(InstallError::NoCache)?;
    let folder = cache.join(variant.folder());
    let present = library_in(&folder).filter(|path| installed::check(path).is_ok());
    if let Some(path) = present.filter(|_| !options.force) {
        return Ok(Installed {
            path,
            outcome: SetupOutcome::Present,
        });
    }
    observer.progress(&format!(
        "fetching `{}` {VERSION} with pip",
        variant.package()
    ));
    if folder.exists() {
        Ok(Installed {
            path: replace(&cache, variant)?,
            outcome: SetupOutcome::FetchedAgain,
        })
    } else {
        Ok(Installed {
            path: install::fetch(variant)?.path,
            outcome: SetupOutcome::Fetched,
        })
    }
}

impl Installed {
    /// What was done, for people.
    pub fn text(&self) -> Text {
        let how = match self.outcome {
            SetupOutcome::Present => "is there already",
            SetupOutcome::Fetched => "was fetched",
            SetupOutcome::FetchedAgain => "was fetched again",
        };
        let mut text = Text::new();
        text.line(format!(
            "ONNX Runtime {VERSION} {how}: {}",
            self.path.display()
        ));
        text
    }
}

/// Fetches beside what is there, and only then takes its place.
fn replace(cache: &Path, variant: Variant) -> Result<PathBuf, InstallError> {
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
