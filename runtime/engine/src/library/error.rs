//! Why ONNX Runtime cannot be used.

use std::io;
use std::path::PathBuf;

use thiserror::Error;
use vesal_libraries::GuardError;

use crate::release::{MIN_VERSION, Variant};

/// Why ONNX Runtime cannot be used.
#[derive(Debug, Error)]
pub enum LibraryError {
    /// It is in none of the searched places.
    #[error("ONNX Runtime is in none of the places searched: {}", list(searched))]
    NotFound {
        /// The directories, in order.
        searched: Vec<PathBuf>,
    },
    /// It is not at the path that the user named.
    #[error("{named_by} names `{}`, where no ONNX Runtime library lies", path.display())]
    NotThere {
        /// Option or variable that names the path.
        named_by: &'static str,
        path: PathBuf,
    },
    #[error(transparent)]
    Guard(#[from] GuardError),
    /// The record of the fetched files cannot be read.
    #[error("cannot read `{}`, the record of what was fetched", path.display())]
    Record { path: PathBuf, source: io::Error },
    /// The file differs from the one that setup fetched.
    #[error("`{}` is not the file that was fetched", path.display())]
    Changed { path: PathBuf },
    /// The file is for another system or processor, or no library.
    #[error("`{}` is {found}, expected {expected}", path.display())]
    Binary {
        path: PathBuf,
        /// Kind of file, system and processor.
        found: String,
        /// Kind of file that this program can load.
        expected: String,
    },
    #[error("cannot load `{}`", path.display())]
    Load {
        path: PathBuf,
        /// Error of the system.
        source: libloading::Error,
    },
    #[error("`{}` is not an ONNX Runtime library: it lacks the symbol `OrtGetApiBase`", path.display())]
    NotOnnxRuntime { path: PathBuf },
    /// A version that lacks functions that this program calls.
    #[error("`{}` is ONNX Runtime {found}, expected {MIN_VERSION} or newer", path.display())]
    TooOld { path: PathBuf, found: String },
    /// A process can load only one library, and another one is loaded.
    #[error("this process uses the ONNX Runtime of `{}` and cannot change to `{}`", loaded.display(), requested.display())]
    AlreadyLoaded {
        /// The library in use.
        loaded: PathBuf,
        requested: PathBuf,
    },
    #[error("ONNX Runtime does not start")]
    Start { source: ort::Error },
}

impl LibraryError {
    /// A remedy for the user, if there is one.
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
            Self::Guard(error) => Some(error.hint()),
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
