//! Installs ONNX Runtime from a package of pinned version and digest, which pip downloads or the user has, into the user's
//! cache.

mod pins;

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use thiserror::Error;
use vesal_files::{digest, regular};

use self::pins::Pin;
use crate::library::{
    FoundLibrary, LibraryError, LibraryOrigin, cache_directory, find, installed, library_in,
};
use crate::program::find_program;
pub use crate::release::{VERSION, Variant};

/// Largest file taken from a package, in bytes.
const MAX_LIBRARY_BYTES: u64 = 1 << 30;

/// Why ONNX Runtime cannot be fetched.
#[derive(Debug, Error)]
pub enum InstallError {
    /// There is no package for this machine.
    #[error("there is no package `{package}` {VERSION} for {os} on {arch}")]
    Platform {
        /// Name of the package.
        package: &'static str,
        os: &'static str,
        arch: &'static str,
    },
    /// The user has no cache directory.
    #[error("this user has no cache directory: neither a home nor a variable names one")]
    NoCache,
    #[error("Python, whose pip fetches the package, is in no absolute folder of PATH")]
    NoPython,
    #[error("cannot run Python, whose pip fetches the package")]
    Python { source: io::Error },
    #[error("pip ends with {status} and says: {message}")]
    Pip {
        status: ExitStatus,
        /// Last lines of its output.
        message: String,
    },
    /// pip fetched other than one package.
    #[error("pip brought {found} packages, expected 1")]
    Packages { found: usize },
    #[error("the package has SHA-256 {found}, expected {expected}")]
    Digest {
        found: String,
        expected: &'static str,
    },
    /// The user's file is none of the packages for this machine.
    #[error("`{}` has SHA-256 {found}, expected {expected}", path.display())]
    Unknown {
        path: PathBuf,
        found: String,
        /// Digests and the packages that have them.
        expected: String,
        /// Command that downloads the smallest one.
        command: String,
    },
    #[error("cannot read `{}`", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot unpack `{file}` from the package")]
    Unpack {
        file: String,
        source: zip::result::ZipError,
    },
    #[error("cannot write `{}`", path.display())]
    Write { path: PathBuf, source: io::Error },
    /// The named library is unusable.
    #[error(transparent)]
    Library(#[from] LibraryError),
}

impl InstallError {
    /// A remedy for the user, if there is one.
    pub fn hint(&self) -> Option<Cow<'static, str>> {
        let hint = match self {
            Self::Unknown { command, .. } => {
                return Some(format!("a machine with a network downloads it: `{command}`").into());
            }
            Self::Read { .. } => None,
            Self::Platform { .. } => Some(
                "build or get ONNX Runtime for this machine and name its library with `--ort-lib`",
            ),
            Self::NoCache => Some("set HOME, or name the library with `--ort-lib`"),
            Self::NoPython | Self::Python { .. } => Some(
                "install Python 3 with pip, or get ONNX Runtime yourself and name its library with `--ort-lib`",
            ),
            Self::Pip { .. } => Some(
                "pip needs a network or an index that has the package; without, `vesal setup --from FILE` takes a package at hand, \
                 and `--ort-lib` names a library",
            ),
            Self::Packages { .. } | Self::Digest { .. } | Self::Unpack { .. } => {
                Some("the package is damaged: empty pip's cache and try again")
            }
            Self::Write { .. } => None,
            Self::Library(error) => error.hint(),
        };
        hint.map(Cow::Borrowed)
    }
}

/// Finds ONNX Runtime in the usual places, or fetches the build for processors: for machines without ONNX Runtime.
///
/// **Errors**: a library that the user named is not there, or fetching fails.
pub fn find_or_fetch() -> Result<FoundLibrary, InstallError> {
    match find(None) {
        Err(LibraryError::NotFound { .. }) => fetch(Variant::Cpu),
        found => Ok(found?),
    }
}

/// Where a package comes from.
#[derive(Debug, Clone, Copy)]
pub enum PackageSource<'a> {
    /// pip downloads it.
    Pip,
    /// This file of the user.
    File(&'a Path),
}

/// Finds out which build a package of the user is, by its digest.
///
/// **Errors**: it cannot be read, or it is none of the packages for this machine.
pub fn variant_of(path: &Path) -> Result<Variant, InstallError> {
    let read = |source| InstallError::Read {
        path: path.into(),
        source,
    };
    regular::open(path).map_err(read)?;
    let (_, found) = digest::sha256_file(path).map_err(read)?;
    let pins = [Variant::Cpu, Variant::Cuda].map(Pin::for_this_machine);
    let known: Vec<&Pin> = pins.into_iter().flatten().collect();
    let first = *known.first().ok_or(InstallError::Platform {
        package: Variant::Cpu.package(),
        os: std::env::consts::OS,
        arch: std::env::consts::ARCH,
    })?;
    let pin = known.iter().find(|pin| pin.sha256 == found);
    pin.map(|pin| pin.variant).ok_or_else(|| {
        let named = known.iter().map(|pin| {
            let package = pin.variant.package();
            format!(
                "{} (`{package}` {VERSION} for {})",
                pin.sha256, pin.platform
            )
        });
        InstallError::Unknown {
            path: path.into(),
            found,
            expected: named.collect::<Vec<_>>().join(" or "),
            command: format!(
                "pip download {}=={VERSION} {}",
                first.variant.package(),
                arguments(first).join(" ")
            ),
        }
    })
}

/// Fetches ONNX Runtime into the user's cache, unless it is present. Concurrent processes wait for each other.
///
/// **Errors**: [`InstallError`]; the cache is as before then.
pub fn fetch(variant: Variant) -> Result<FoundLibrary, InstallError> {
    let cache = cache_directory().ok_or(InstallError::NoCache)?;
    install_into(&cache, variant, PackageSource::Pip)
}

/// Installs ONNX Runtime into a folder of this directory; see [`fetch`].
///
/// **Errors**: see [`fetch`].
pub fn install_into(
    cache: &Path,
    variant: Variant,
    source: PackageSource<'_>,
) -> Result<FoundLibrary, InstallError> {
    let pin = Pin::for_this_machine(variant).ok_or(InstallError::Platform {
        package: variant.package(),
        os: std::env::consts::OS,
        arch: std::env::consts::ARCH,
    })?;
    let folder = cache.join(variant.folder());
    // A library without a record was installed in another way, or by a version without records.
    let present = || -> Result<Option<FoundLibrary>, LibraryError> {
        let recorded = installed::has_record(&folder)?;
        let path = library_in(&folder).filter(|_| recorded);
        let origin = LibraryOrigin::Cache;
        Ok(path.map(|path| FoundLibrary { path, origin }))
    };
    let write = |path: &Path| {
        let path = path.to_path_buf();
        move |source| InstallError::Write { path, source }
    };
    fs::create_dir_all(cache).map_err(write(cache))?;
    let lock_path = cache.join(format!("{}.lock", variant.folder()));
    let lock = File::create(&lock_path).map_err(write(&lock_path))?;
    lock.lock().map_err(write(&lock_path))?;
    if let Some(found) = present()? {
        return Ok(found);
    }
    let staging = tempfile::Builder::new()
        .prefix(".fetch-")
        .tempdir_in(cache)
        .map_err(write(cache))?;
    let package = match source {
        PackageSource::Pip => download(pin, staging.path())?,
        // What is checked and unpacked is a copy, which nobody else changes.
        PackageSource::File(file) => {
            let copy = staging.path().join("package.whl");
            fs::copy(file, &copy).map_err(|source| InstallError::Read {
                path: file.into(),
                source,
            })?;
            copy
        }
    };
    check_digest(&package, pin)?;
    let unpacked = staging.path().join("library");
    fs::create_dir(&unpacked).map_err(write(&unpacked))?;
    unpack(&package, pin, &unpacked)?;
    if folder.symlink_metadata().is_ok() {
        let aside = staging.path().join("previous");
        fs::rename(&folder, &aside).map_err(write(&folder))?;
    }
    fs::rename(&unpacked, &folder).map_err(write(&folder))?;
    installed::record(&folder).map_err(write(&folder))?;
    present()?.ok_or_else(|| {
        LibraryError::NotFound {
            searched: vec![folder],
        }
        .into()
    })
}

/// Downloads the package with pip, which checks its digest.
fn download(pin: &'static Pin, staging: &Path) -> Result<PathBuf, InstallError> {
    let requirements = staging.join("requirements.txt");
    let text = format!(
        "{}=={VERSION} --hash=sha256:{}\n",
        pin.variant.package(),
        pin.sha256
    );
    fs::write(&requirements, text).map_err(|source| InstallError::Write {
        path: requirements.clone(),
        source,
    })?;
    let packages = staging.join("packages");
    let python = ["python3", "python"].into_iter().find_map(find_program);
    let python = python.ok_or(InstallError::NoPython)?;
    let output = pip(&python, staging)
        .args([
            "download",
            "--quiet",
            "--no-input",
            "--disable-pip-version-check",
        ])
        .args(arguments(pin))
        .args(["--require-hashes", "--requirement"])
        .arg(&requirements)
        .arg("--dest")
        .arg(&packages)
        .stdin(Stdio::null())
        .output()
        .map_err(|source| InstallError::Python { source })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let lines: Vec<&str> = said
            .lines()
            .filter(|line| !line.trim().is_empty())
            .collect();
        let message = lines[lines.len().saturating_sub(3)..].join("; ");
        return Err(InstallError::Pip {
            status: output.status,
            message,
        });
    }
    let wheels: Vec<PathBuf> = packages
        .read_dir()
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    let [wheel] = wheels.as_slice() else {
        return Err(InstallError::Packages {
            found: wheels.len(),
        });
    };
    Ok(wheel.clone())
}

fn check_digest(package: &Path, pin: &Pin) -> Result<(), InstallError> {
    let (_, found) = digest::sha256_file(package).map_err(|source| InstallError::Write {
        path: package.into(),
        source,
    })?;
    if found != pin.sha256 {
        return Err(InstallError::Digest {
            found,
            expected: pin.sha256,
        });
    }
    Ok(())
}

/// Arguments of `pip download` that choose a package for a platform, whichever machine pip runs on.
fn arguments(pin: &Pin) -> [&'static str; 8] {
    [
        "--no-deps",
        "--only-binary=:all:",
        "--implementation",
        "cp",
        "--python-version",
        "3.12",
        "--platform",
        pin.platform,
    ]
}

/// pip of this Python in isolated mode: it imports nothing from the current folder, nor from paths of environment
/// variables or the user's packages.
fn pip(python: &Path, staging: &Path) -> Command {
    let mut command = Command::new(python);
    command.args(["-I", "-m", "pip"]).current_dir(staging);
    command
}

/// Takes the pinned files out of the package, which is a zip archive.
fn unpack(package: &Path, pin: &Pin, target: &Path) -> Result<(), InstallError> {
    let of_package = |source| InstallError::Unpack {
        file: package.display().to_string(),
        source,
    };
    let file = File::open(package).map_err(|source| of_package(source.into()))?;
    let mut archive = zip::ZipArchive::new(file).map_err(of_package)?;
    for name in pin.files {
        let unpack = |source| InstallError::Unpack {
            file: (*name).into(),
            source,
        };
        let entry = archive
            .by_name(&format!("onnxruntime/capi/{name}"))
            .map_err(unpack)?;
        let path = target.join(name);
        let write = |source| InstallError::Write {
            path: path.clone(),
            source,
        };
        let mut library = File::create_new(&path).map_err(write)?;
        copy_limited(entry, &mut library).map_err(|source| unpack(source.into()))?;
        library.sync_all().map_err(write)?;
    }
    Ok(())
}

fn copy_limited(from: impl Read, to: &mut impl Write) -> io::Result<()> {
    let copied = io::copy(&mut from.take(MAX_LIBRARY_BYTES + 1), to)?;
    if copied > MAX_LIBRARY_BYTES {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            "the file exceeds 1 GiB",
        ));
    }
    Ok(())
}
