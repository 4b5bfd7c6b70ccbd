//! JSON documents that begin with the name and the version of their format.

use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::atomic::{self, AtomicError};
use crate::regular;

mod header;

use header::{DocumentHeader, WithHeader, WithoutHeader};

/// A kind of document. In JSON, `format` and `format_version` precede the fields of the type, which has neither.
///
/// **Examples**
/// ```
/// use serde::{Deserialize, Serialize};
/// use vesal_files::document::{self, VersionedDocument};
///
/// #[derive(Debug, PartialEq, Serialize, Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct Note {
///     text: String,
/// }
/// impl VersionedDocument for Note {
///     const FORMAT: &str = "note";
///     const VERSION: u32 = 1;
///     const MAX_BYTES: u64 = 1000;
/// }
///
/// let note: Note =
///     document::parse(br#"{"format": "note", "format_version": 1, "text": "hello"}"#, "note.json")?;
/// assert_eq!(note.text, "hello");
/// # Ok::<(), vesal_files::DocumentError>(())
/// ```
pub trait VersionedDocument {
    const FORMAT: &'static str;
    /// The `format_version` that is read and written.
    const VERSION: u32;
    /// Largest document that is read, in bytes; 0 for formats that are only written.
    const MAX_BYTES: u64 = 0;
}

/// Why a document cannot be read or written.
#[derive(Debug, Error)]
pub enum DocumentError {
    /// The file cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// The file cannot be written.
    #[error(transparent)]
    Write(#[from] AtomicError),
    /// Larger than any real document of its kind.
    #[error("`{name}` is larger than the limit of {limit_bytes} bytes")]
    TooLarge { name: String, limit_bytes: u64 },
    /// Not JSON, or a field is missing, unknown or of another type.
    #[error("`{name}` does not follow its format")]
    Json {
        name: String,
        source: serde_json::Error,
    },
    /// A document of another format.
    #[error("`{name}` has the format {found:?}, expected {expected:?}")]
    Format {
        name: String,
        found: String,
        /// The format asked for.
        expected: &'static str,
    },
    /// Another version of the format.
    #[error("`{name}` has version {found} of the format {format:?}, expected {expected}")]
    Version {
        name: String,
        format: &'static str,
        found: u64,
        /// The version asked for.
        expected: u32,
    },
}

impl DocumentError {
    /// Whether there is no such file.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Read { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }

    /// A remedy for the user, if there is one.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Version {
                found, expected, ..
            } if *found > u64::from(*expected) => {
                Some("a newer Vesal wrote it: update this program")
            }
            Self::Version { .. } => {
                Some("an older Vesal wrote it: make it anew with the programs of this version")
            }
            Self::TooLarge { .. } | Self::Json { .. } | Self::Format { .. } => {
                Some("the file is damaged or was edited: get it again from where it came")
            }
            Self::Write(error) => error.hint(),
            Self::Read { .. } => None,
        }
    }
}

/// Reads a file that is one document.
///
/// **Errors**: [`DocumentError`]; the file's name is that of the document.
pub fn read<T: VersionedDocument + DeserializeOwned>(path: &Path) -> Result<T, DocumentError> {
    parse(&read_limited(path, T::MAX_BYTES)?, &file_name(path))
}

/// Decodes a document: size, then format and version, then every field.
///
/// **Errors**: [`DocumentError`], with this name of the document.
pub fn parse<T: VersionedDocument + DeserializeOwned>(
    bytes: &[u8],
    name: &str,
) -> Result<T, DocumentError> {
    let found = version::<T>(bytes, name)?;
    if found != u64::from(T::VERSION) {
        return Err(DocumentError::Version {
            name: name.to_owned(),
            format: T::FORMAT,
            found,
            expected: T::VERSION,
        });
    }
    let WithoutHeader(document) = decode(bytes, name)?;
    Ok(document)
}

/// Returns the version of a document of this format, which decides how it is decoded.
///
/// **Errors**: as [`parse`], except for versions and fields.
pub fn version<T: VersionedDocument>(bytes: &[u8], name: &str) -> Result<u64, DocumentError> {
    if bytes.len() as u64 > T::MAX_BYTES {
        return Err(DocumentError::TooLarge {
            name: name.to_owned(),
            limit_bytes: T::MAX_BYTES,
        });
    }
    let header: DocumentHeader = decode(bytes, name)?;
    if header.format != T::FORMAT {
        return Err(DocumentError::Format {
            name: name.to_owned(),
            found: header.format,
            expected: T::FORMAT,
        });
    }
    Ok(header.format_version)
}

fn decode<T: DeserializeOwned>(bytes: &[u8], name: &str) -> Result<T, DocumentError> {
    serde_json::from_slice(bytes).map_err(|source| DocumentError::Json {
        name: name.to_owned(),
        source,
    })
}

/// Encodes a document as indented JSON that ends with a line break.
///
/// **Errors**: [`DocumentError::Json`] with this name, for values that JSON cannot express.
pub fn to_json<T: VersionedDocument + Serialize>(
    document: &T,
    name: &str,
) -> Result<Vec<u8>, DocumentError> {
    encode(serde_json::to_vec_pretty(&with_header(document)), name)
}

/// Encodes a document as [`to_json`] does, but in one line.
///
/// **Errors**: as [`to_json`].
pub fn to_compact_json<T: VersionedDocument + Serialize>(
    document: &T,
    name: &str,
) -> Result<Vec<u8>, DocumentError> {
    encode(serde_json::to_vec(&with_header(document)), name)
}

fn encode(bytes: serde_json::Result<Vec<u8>>, name: &str) -> Result<Vec<u8>, DocumentError> {
    let mut bytes = bytes.map_err(|source| DocumentError::Json {
        name: name.into(),
        source,
    })?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// The document with its format and version, to be serialized.
pub fn with_header<T: VersionedDocument + Serialize>(document: &T) -> impl Serialize {
    WithHeader {
        format: T::FORMAT,
        format_version: T::VERSION,
        document,
    }
}

/// The document as a JSON value.
///
/// **Errors**: values that JSON cannot express.
pub fn to_value<T: VersionedDocument + Serialize>(
    document: &T,
) -> serde_json::Result<serde_json::Value> {
    serde_json::to_value(with_header(document))
}

/// Replaces a file with a document, atomically.
///
/// **Errors**: [`DocumentError`].
pub fn write<T: VersionedDocument + Serialize>(
    path: &Path,
    document: &T,
) -> Result<(), DocumentError> {
    let bytes = to_json(document, &file_name(path))?;
    Ok(atomic::write_file(path, &bytes, true)?)
}

/// Reads a file of at most `limit_bytes`; never allocates more than the file holds.
///
/// **Errors**: [`DocumentError::Read`], [`DocumentError::TooLarge`].
pub fn read_limited(path: &Path, limit_bytes: u64) -> Result<Vec<u8>, DocumentError> {
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

/// The last component of a path, for messages.
pub fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy()
        .into_owned()
}

#[cfg(test)]
mod tests;
