//! `vesal setup`: installs ONNX Runtime in the user's cache.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use vesal_cli::Text;
use vesal_engine::install::{self, InstallError, PackageSource, VERSION, Variant};
use vesal_engine::library::{cache_directory, installed, library_in};

use crate::error::Error;
use crate::observe::Observer;

/// Options of setup.
#[derive(Debug, Clone, Args)]
pub struct SetupOptions {
    /// Install from this package, a wheel of ONNX Runtime, instead of fetching one: for machines without a network
    #[arg(long, value_name = "FILE", conflicts_with = "cuda")]
    pub from: Option<PathBuf>,
    /// Fetch the build for NVIDIA GPUs, which is much larger
    #[arg(long)]
    pub cuda: bool,
    /// Fetch it again even if it is installed
    #[arg(long)]
    pub force: bool,
}

/// Path of the library, and the outcome.
#[derive(Debug)]
pub struct Installed {
    pub path: PathBuf,
    pub outcome: SetupOutcome,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetupOutcome {
    /// It is present as it was installed.
    Present,
    Installed,
    /// It was present and was replaced.
    Replaced,
}

/// Fetches the library, or takes it from the user's package, unless it is present as it was fetched.
///
/// **Errors**: pip does not fetch it, or it cannot be written.
pub fn setup(options: &SetupOptions, observer: &dyn Observer) -> Result<Installed, Error> {
    install(options, observer)
        .map_err(|error| Error::Install(error).attempting("cannot install ONNX Runtime"))
}

fn install(options: &SetupOptions, observer: &dyn Observer) -> Result<Installed, InstallError> {
    let (variant, source) = match &options.from {
        Some(file) => (install::variant_of(file)?, PackageSource::File(file)),
        None if options.cuda => (Variant::Cuda, PackageSource::Pip),
        None => (Variant::Cpu, PackageSource::Pip),
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
    let package = variant.package();
    observer.progress(&match source {
        PackageSource::Pip => format!("fetching `{package}` {VERSION} with pip"),
        PackageSource::File(_) => format!("unpacking `{package}` {VERSION}"),
    });
    if folder.exists() {
        Ok(Installed {
            path: replace(&cache, variant, source)?,
            outcome: SetupOutcome::Replaced,
        })
    } else {
        Ok(Installed {
            path: install::install_into(&cache, variant, source)?.path,
            outcome: SetupOutcome::Installed,
        })
    }
}

impl Installed {
    /// The outcome as text.
    pub fn text(&self) -> Text {
        let how = match self.outcome {
            SetupOutcome::Present => "is there already",
            SetupOutcome::Installed => "was installed",
            SetupOutcome::Replaced => "was installed again",
        };
        let mut text = Text::new();
        text.line(format!(
            "ONNX Runtime {VERSION} {how}: {}",
            self.path.display()
        ));
        text
    }
}

/// Fetches into a temporary folder, and then replaces the existing one.
fn replace(
    cache: &Path,
    variant: Variant,
    source: PackageSource<'_>,
) -> Result<PathBuf, InstallError> {
    let write = |path: &Path| {
        let path = path.to_path_buf();
        move |source| InstallError::Write { path, source }
    };
    let staging = tempfile::Builder::new()
        .prefix(".replace-")
        .tempdir_in(cache)
        .map_err(write(cache))?;
    install::install_into(staging.path(), variant, source)?;
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
    // The folder was just created, with the library.
    Ok(library_in(&folder).unwrap_or(folder))
}
