//! Imports networks that other programs trained.

mod archive;
mod checkpoint;
mod labels;
mod monai;
mod pickle;
mod plan;
mod plans;
mod settings;

pub use archive::ArchiveError;
pub use checkpoint::{Checkpoint, CheckpointError};
pub use labels::ClassName;
pub use monai::{ImportError, Imported, import};
pub use pickle::PickleError;
pub use plan::{ImportOverrides, PlanningError};
pub use settings::{InferenceSettings, NormalizeMode};
