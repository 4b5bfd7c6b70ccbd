//! Imports networks that other programs trained.

mod labels;
mod monai;
mod plan;
mod plans;
mod settings;

pub use labels::ClassName;
pub use monai::{ImportError, Imported, import};
pub use plan::{ImportOverrides, PlanningError};
pub use settings::{InferenceSettings, NormalizeMode};
pub use vesal_weights::{ArchiveError, Checkpoint, CheckpointError, PickleError};
