//! JSON documents that name their own format and version.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::regular;

/// Why a document cannot be read or written.
#[derive(Debug, Error)]
pub enum DocumentError {
    /// The file cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file cannot be written.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Larger than any real document of its kind.
    #[error("`{name}` is larger than the limit of {limit_bytes} bytes")]
    TooLarge {
        /// Name of the document.
        name: String,
        /// The limit in bytes.
        limit_bytes: u64,
    },
    /// Not JSON, or a field is missing, unknown or of another type.
    #[error("`{name}` does not follow its format")]
    Json {
        /// Name of the document.
        name: String,
        /// Where and what.
        source: serde_json::Error,
    },
    /// Another kind of document.
    #[error("`{name}` has the format {found:?}, expected {expected:?}")]
    Format {
        /// Name of the document.
        name: String,
        /// Its `format`.
        found: String,
        /// The format asked for.
        expected: &'static str,
    },
    /// Another version of the format.
    #[error("`{name}` has version {found} of the format {format:?}, expected {expected}")]
    Version {
        /// Name of the document.
        name: String,
        /// The format.
        format: &'static str,
        /// Its `format_version`.
        found: u64,
        /// The version asked for.
        expected: u32,
    },
}

impl DocumentError {
    /// A remedy, where there is one.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Version {
                found, expected, ..
            } if *found > u64::from(*expected) => {
                Some("a newer Vesal wrote it: update this program")
            }
            Self::Version { .. } => Some("an older Vesal wrote it: export the bundle again"),
            Self::TooLarge { .. } | Self::Json { .. } | Self::Format { .. } => {
                Some("the file is damaged or was edited: get it again from where it came")
            }
            Self::Read { .. } | Self::Write { .. } => None,
        }
    }
}

/// What a kind of document is called, and how large it may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    pub format: &'static str,
    pub version: u32,
    pub limit_bytes: u64,
}

/// The two fields that are looked at before any other, so that a newer version is reported as such.
#[derive(serde::Deserialize)]
struct Header {
    format: String,
    format_version: u64,
}

/// Reads a file of at most `limit_bytes`; never allocates more than the file holds.
pub(crate) fn read_limited(path: &Path, limit_bytes: u64) -> Result<Vec<u8>, DocumentError> {
    let bytes = regular::read_up_to(path, limit_bytes).map_err(|source| DocumentError::Read {
        path: path.into(),
        source,
    })?;
    if bytes.len() as u64 > limit_bytes {
        return Err(DocumentError::TooLarge {
            name: file_name(path),
            limit_bytes,
        });
    }
    Ok(bytes)
}

/// Parses a document: size, then format and version, then every field.
pub(crate) fn parse<T: DeserializeOwned>(
    bytes: &[u8],
    name: &str,
    kind: Kind,
) -> Result<T, DocumentError> {
    let name = || name.to_owned();
    if bytes.len() as u64 > kind.limit_bytes {
        return Err(DocumentError::TooLarge {
            name: name(),
            limit_bytes: kind.limit_bytes,
        });
    }
    let json = |source| DocumentError::Json {
        name: name(),
        source,
    };
    let header: Header = serde_json::from_slice(bytes).map_err(json)?;
    if header.format != kind.format {
        return Err(DocumentError::Format {
            name: name(),
            found: header.format,
            expected: kind.format,
        });
    }
    if header.format_version != u64::from(kind.version) {
        return Err(DocumentError::Version {
            name: name(),
            format: kind.format,
            found: header.format_version,
            expected: kind.version,
        });
    }
    serde_json::from_slice(bytes).map_err(json)
}

/// Writes a document as indented JSON.
pub(crate) fn to_json<T: Serialize>(document: &T, name: &str) -> Result<Vec<u8>, DocumentError> {
    let mut bytes = serde_json::to_vec_pretty(document).map_err(|source| DocumentError::Json {
        name: name.into(),
        source,
    })?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Writes a file beside its destination, syncs it and renames it there, so that it is never half written.
pub(crate) fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), DocumentError> {
    let write = || -> io::Result<()> {
        let directory = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        let mut builder = tempfile::Builder::new();
        share(&mut builder, 0o666);
        let mut file = builder.tempfile_in(directory)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    };
    write().map_err(|source| DocumentError::Write {
        path: path.into(),
        source,
    })
}

/// Gives a temporary file or directory the permissions of any other new one, as the umask allows, for it outlives
/// its writer.
pub(crate) fn share(builder: &mut tempfile::Builder<'_, '_>, mode: u32) {
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(mode));
    #[cfg(not(unix))]
    let _ = (builder, mode);
}

/// The last component of a path, for messages.
pub(crate) fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy()
        .into_owned()
}
