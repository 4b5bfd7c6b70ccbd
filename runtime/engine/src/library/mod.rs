//! ONNX Runtime's library: where it lies, and loading it once per process.

mod binary;
pub(crate) mod guard;
pub mod installed;
#[allow(
    unsafe_code,
    reason = "asking a C library for its version, and keeping it quiet"
)]
mod load;
mod places;

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::install::Variant;

pub use self::load::{MIN_VERSION, Runtime, load, runtime};
pub(crate) use self::places::site_packages;
pub use self::places::{Places, cache_directory, find, library_in};

/// Where a library was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Named by the user.
    Explicit,
    /// Named by `ORT_DYLIB_PATH`.
    Environment,
    /// Beside the executable.
    Executable,
    /// In the user's cache, where `vesal setup` puts it.
    Cache,
    /// In the active Python environment.
    Python,
}

/// A library that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The file.
    pub path: PathBuf,
    /// Where that is.
    pub origin: Origin,
}

/// Why ONNX Runtime is not at hand.
#[derive(Debug, Error)]
pub enum LibraryError {
    /// It is in none of the places.
    #[error("ONNX Runtime is in none of the places searched: {}", list(searched))]
    NotFound {
        /// The directories, in order.
        searched: Vec<PathBuf>,
    },
    /// It is not where the user said.
    #[error("{named_by} names `{}`, where no ONNX Runtime library lies", path.display())]
    NotThere {
        /// What names it.
        named_by: &'static str,
        /// The path.
        path: PathBuf,
    },
    /// A variable names a place by where the process happens to run.
    #[error("`{}` is no absolute path, expected one", path.display())]
    Relative {
        /// The path.
        path: PathBuf,
    },
    /// Others could have put it there.
    #[error("`{}` is not loaded: `{}` belongs to user {owner} or can be written by everybody, expected this user or root alone", path.display(), place.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// The file itself, or the folder above it that is open.
        place: PathBuf,
        /// Number of the user that it belongs to.
        owner: u32,
    },
    /// What setup noted cannot be read.
    #[error("cannot read `{}`, which says what was fetched", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not what setup fetched.
    #[error("`{}` is not the file that was fetched", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// The file is for another system or processor, or no library.
    #[error("`{}` is {found}, expected {expected}", path.display())]
    Binary {
        /// The file.
        path: PathBuf,
        /// What it is.
        found: String,
        /// What this program can load.
        expected: String,
    },
    /// The system cannot load it.
    #[error("cannot load `{}`", path.display())]
    Load {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: libloading::Error,
    },
    /// A library, but another one.
    #[error("`{}` is no ONNX Runtime library: it lacks the symbol `OrtGetApiBase`", path.display())]
    NotOnnxRuntime {
        /// The file.
        path: PathBuf,
    },
    /// An ONNX Runtime that lacks what this program calls.
    #[error("`{}` is ONNX Runtime {found}, expected {MIN_VERSION} or newer", path.display())]
    TooOld {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: String,
    },
    /// A process can load one library, and this one loaded another.
    #[error("this process uses the ONNX Runtime of `{}` and cannot change to `{}`", loaded.display(), requested.display())]
    AlreadyLoaded {
        /// The library in use.
        loaded: PathBuf,
        /// The other one.
        requested: PathBuf,
    },
    /// It loads and does not start.
    #[error("ONNX Runtime does not start")]
    Start {
        /// What it says.
        source: ort::Error,
    },
}

impl LibraryError {
    /// A remedy, where there is one.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NotFound { .. } | Self::TooOld { .. } => {
                Some("`vesal setup` fetches ONNX Runtime")
            }
            Self::NotThere { .. } => Some(
                "name the library's file or its folder, or nothing: `vesal setup` fetches ONNX Runtime",
            ),
            Self::Binary { .. } | Self::Load { .. } | Self::NotOnnxRuntime { .. } => {
                Some("remove the file or name another one; `vesal setup` fetches ONNX Runtime")
            }
            Self::Relative { .. } => Some("write the path from the root of the file system"),
            Self::Exposed { .. } => Some(
                "take the right to write from others (`chmod o-w`), or move the library where only you can write",
            ),
            Self::Record { .. } => Some("let this user read the file (`chmod a+r`)"),
            Self::Changed { path } => Some(match Variant::of_folder(path.parent()) {
                Some(Variant::Cuda) => {
                    "`vesal setup --cuda --force` fetches ONNX Runtime with CUDA again"
                }
                Some(Variant::Cpu) | None => "`vesal setup --force` fetches ONNX Runtime again",
            }),
            Self::AlreadyLoaded { .. } | Self::Start { .. } => None,
        }
    }
}

fn list(paths: &[PathBuf]) -> String {
    paths
        .iter()
        .map(|path| format!("`{}`", path.display()))
        .collect::<Vec<_>>()
        .join(", ")
}
