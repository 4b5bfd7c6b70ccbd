//! Why a queue cannot be opened.

use std::io;
use std::path::{Path, PathBuf};

/// Why a queue cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The system cannot read or write it.
    #[error("cannot use the storage folder `{}`: {reason}", path.display())]
    Io {
        /// The folder or a file in it.
        path: PathBuf,
        reason: io::Error,
    },
    /// The key that its jobs are named with is missing.
    #[error("the storage folder `{}` has jobs, but not the key that they are named with", path.display())]
    NoKey { path: PathBuf },
    /// Its jobs have another version.
    #[error(
        "the storage folder `{}` has jobs of version {found}, expected {expected}",
        path.display()
    )]
    Version {
        path: PathBuf,
        found: u32,
        /// Version that this program reads and writes.
        expected: u32,
    },
    /// Another node uses it.
    #[error("the storage folder `{}` is in use by another node", path.display())]
    InUse { path: PathBuf },
}

impl OpenError {
    /// A remedy for the user.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Io { .. } => {
                Some("`storage` in the settings names a folder that the node can write to")
            }
            Self::NoKey { .. } => Some(
                "put the file `key` back, or give the node another `storage` and move images from this one by hand",
            ),
            Self::Version { .. } => Some(
                "run the version of vesal that wrote it until its jobs are done, or give the node another `storage`",
            ),
            Self::InUse { .. } => {
                Some("stop the other node, or give this one a `storage` of its own")
            }
        }
    }

    pub(super) fn io(path: &Path) -> impl Fn(io::Error) -> Self {
        move |reason| Self::Io {
            path: path.to_owned(),
            reason,
        }
    }
}
