//! Signatures of bundles, and the requirements that a user sets for a bundle.
//!
//! A bundle's digest identifies the bundle; a signature identifies its maker. The signature is a file beside the
//! manifest. It signs the manifest's bytes, whose digests cover every other file, and changes no digest.

use std::path::{Path, PathBuf};

use thiserror::Error;

use vesal_files::atomic;
use vesal_files::digest;
use vesal_files::document::{self, DocumentError};

/// File name inside a bundle.
pub const FILE_NAME: &str = "signature.minisig";
/// Largest signature or key in bytes.
pub const MAX_FILE_BYTES: u64 = 4096;

/// Why a signature or a key cannot be used, or a bundle does not meet the requirements.
#[derive(Debug, Error)]
pub enum SignatureError {
    /// A file cannot be read.
    #[error(transparent)]
    Document(#[from] DocumentError),
    #[error("`{}` is not a public key of minisign: {reason}", path.display())]
    Key { path: PathBuf, reason: String },
    /// No signature, although one is required.
    #[error("the bundle has no `{FILE_NAME}`, expected a signature")]
    Missing,
    /// A file that is not a signature.
    #[error("the bundle's `{FILE_NAME}` is not a signature of minisign: {reason}")]
    Malformed { reason: String },
    /// A signature by another key, or of another manifest.
    #[error("the bundle's signature does not verify with the public key: {reason}")]
    Unverified { reason: String },
    /// Another bundle than the required one.
    #[error("the bundle has SHA-256 {found}, expected {expected}")]
    Digest {
        /// SHA-256 of its manifest.
        found: String,
        /// The required digest.
        expected: String,
    },
    /// A signature is required, but no key is given to verify it.
    #[error("a signature is required, but no public key is given")]
    NoKey,
}

impl SignatureError {
    /// A remedy for the user, if there is one.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Document(error) => error.hint(),
            Self::Key { .. } => Some(
                "a public key is the file that `vesal-export keygen` or `minisign -G` writes, two lines of text",
            ),
            Self::Missing => Some(
                "ask the maker of the bundle to sign it: `vesal-export sign --key SECRET BUNDLE`",
            ),
            Self::Malformed { .. } | Self::Unverified { .. } => Some(
                "do not use this bundle unless you know who changed it: get it, or the public key, again from its source",
            ),
            Self::Digest { .. } => Some(
                "it is another bundle, or another version of it: `vesal inspect BUNDLE` prints its digest",
            ),
            Self::NoKey => Some("name the key with `--bundle-key`"),
        }
    }
}

/// A public key for verifying signatures of bundles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey(minisign_verify::PublicKey);

impl PublicKey {
    /// Reads a key, as minisign writes it.
    ///
    /// **Errors**: [`SignatureError::Key`], or the file cannot be read.
    pub fn read(path: &Path) -> Result<Self, SignatureError> {
        let bytes = document::read_limited(path, MAX_FILE_BYTES)?;
        let key = |reason: String| SignatureError::Key {
            path: path.into(),
            reason,
        };
        let text = str::from_utf8(&bytes).map_err(|error| key(error.to_string()))?;
        minisign_verify::PublicKey::decode(text)
            .map(Self)
            .map_err(|error| key(error.to_string()))
    }

    /// Checks that a signature is one of these bytes by this key.
    ///
    /// **Errors**: it is not.
    pub fn verify(&self, signed: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        let malformed = |reason: String| SignatureError::Malformed { reason };
        let text = str::from_utf8(signature).map_err(|error| malformed(error.to_string()))?;
        let signature = minisign_verify::Signature::decode(text)
            .map_err(|error| malformed(error.to_string()))?;
        // Legacy signatures of the bytes themselves are refused; minisign no longer makes them.
        let legacy = false;
        self.0
            .verify(signed, &signature, legacy)
            .map_err(|error| SignatureError::Unverified {
                reason: error.to_string(),
            })
    }
}

/// Requirements of a user for a bundle; by default, only that it is intact.
#[derive(Debug, Clone, Default)]
pub struct Demands {
    /// SHA-256 of its manifest.
    pub sha256: Option<String>,
    /// Public key of the maker; an existing signature must verify with it.
    pub key: Option<PublicKey>,
    /// Whether a signature is required.
    pub signature: bool,
}

impl Demands {
    /// Checks the manifest of a bundle before it is parsed, and returns whether it is signed by the key.
    ///
    /// **Errors**: another digest; a signature by another key or of another manifest; no signature, although one is
    /// required.
    pub(crate) fn check(&self, directory: &Path, manifest: &[u8]) -> Result<bool, SignatureError> {
        if let Some(expected) = &self.sha256 {
            let found = digest::sha256(manifest);
            if found != *expected {
                return Err(SignatureError::Digest {
                    found,
                    expected: expected.clone(),
                });
            }
        }
        let Some(key) = &self.key else {
            return if self.signature {
                Err(SignatureError::NoKey)
            } else {
                Ok(false)
            };
        };
        let path = directory.join(FILE_NAME);
        match path.symlink_metadata() {
            Ok(found) if found.is_file() => {}
            Ok(_) => {
                let reason = "it is a link or no plain file".into();
                return Err(SignatureError::Malformed { reason });
            }
            Err(_) if self.signature => return Err(SignatureError::Missing),
            Err(_) => return Ok(false),
        }
        let signature = document::read_limited(&path, MAX_FILE_BYTES)?;
        key.verify(manifest, &signature).map(|()| true)
    }
}

/// Adds a signature to a bundle, replacing an existing one.
///
/// **Errors**: it cannot be written.
pub fn write(directory: &Path, signature: &str) -> Result<(), SignatureError> {
    atomic::write_file(&directory.join(FILE_NAME), signature.as_bytes(), true)
        .map_err(|error| SignatureError::Document(error.into()))
}
