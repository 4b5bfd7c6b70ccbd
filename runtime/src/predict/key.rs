//! The key from which UIDs of results are derived.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use vesal_io::dicom::write::{KEY_BYTES_MIN, UidKey};

/// Most bytes of a key, so that a scan named by mistake is refused.
const KEY_BYTES_MAX: usize = 1 << 16;

/// Why a file is not a key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error(transparent)]
    Read(#[from] io::Error),
    #[error("it holds {found} bytes, expected {KEY_BYTES_MIN} to {KEY_BYTES_MAX}")]
    Length { found: usize },
}

impl KeyError {
    /// A remedy for the user.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Read(_) => None,
            Self::Length { .. } => Some("`head --bytes=32 /dev/urandom` makes one; keep it secret"),
        }
    }
}

/// Reads the key in a file.
///
/// **Errors**: the file cannot be read, or its length is out of range.
pub(super) fn read(path: &Path) -> Result<UidKey, KeyError> {
    let mut bytes = Vec::new();
    let file = File::open(path)?;
    file.take(KEY_BYTES_MAX as u64 + 1)
        .read_to_end(&mut bytes)?;
    UidKey::new(&bytes)
        .filter(|_| bytes.len() <= KEY_BYTES_MAX)
        .ok_or(KeyError::Length { found: bytes.len() })
}
