//! Reading manifests of all versions.

use vesal_files::document;

use super::document::Manifest;
use super::error::ManifestError;
use super::limits::FILE_NAME;
use super::version_1::ManifestVersion1;

impl Manifest {
    /// Parses and validates a manifest of this version or an older one.
    ///
    /// **Errors**: [`ManifestError`].
    pub fn from_json(bytes: &[u8]) -> Result<Self, ManifestError> {
        let manifest = match document::version::<Self>(bytes, FILE_NAME)? {
            1 => document::parse::<ManifestVersion1>(bytes, FILE_NAME)?.into(),
            _ => document::parse::<Self>(bytes, FILE_NAME)?,
        };
        manifest.validate()?;
        Ok(manifest)
    }
}
