//! What a folder says about the inference of a checkpoint in it.

use std::path::Path;

use thiserror::Error;
use vesal_network::{ConfigError, NetworkConfig};

use super::folder::{Folder, FolderError};
use super::folder_settings::{self, FolderSettingsError};
use super::overrides::ImportOverrides;
use super::settings::InferenceSettings;

/// The network that a folder describes, and how it is used.
#[derive(Debug, Clone, PartialEq)]
pub struct FolderInference {
    /// None where the weights have to tell it.
    pub network: Option<NetworkConfig>,
    pub settings: InferenceSettings,
}

/// Why the configuration of a folder cannot be honored.
#[derive(Debug, Error)]
pub enum FolderInferenceError {
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The network is out of range.
    #[error(transparent)]
    Network(#[from] ConfigError),
    #[error(transparent)]
    Settings(#[from] FolderSettingsError),
}

/// Reads the configuration of an algorithm's folder or a bundle without a checkpoint: settings are those of the network that it
/// describes, or of `otherwise`.
///
/// **Errors**: [`FolderInferenceError`].
pub fn read_folder(
    root: &Path,
    otherwise: &NetworkConfig,
) -> Result<FolderInference, FolderInferenceError> {
    let folder = Folder::read(root)?;
    let network = folder.network()?;
    if let Some(network) = &network {
        network.validate()?;
    }
    let flags = ImportOverrides::default();
    let used = network.as_ref().unwrap_or(otherwise);
    let settings = folder_settings::read(&folder, used, &flags)?;
    Ok(FolderInference { network, settings })
}
