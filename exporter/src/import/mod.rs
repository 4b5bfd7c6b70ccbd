//! Imports networks that other programs trained.

mod assumed;
mod configuration;
mod described;
mod folder;
mod folder_inference;
mod folder_settings;
mod labels;
mod monai;
mod overrides;
mod plan;
mod planning_error;
mod plans;
mod settings;
mod steps;
mod template;

pub use configuration::ConfigurationError;
pub use described::ComponentError;
pub use folder::FolderError;
pub use folder_inference::{FolderInference, FolderInferenceError, read_folder};
pub use folder_settings::FolderSettingsError;
pub use labels::ClassName;
pub use monai::{ImportError, Imported, import};
pub use overrides::ImportOverrides;
pub use planning_error::PlanningError;
pub use settings::{InferenceSettings, NormalizeMode};
pub use vesal_weights::{ArchiveError, Checkpoint, CheckpointError, PickleError};
