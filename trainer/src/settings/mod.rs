//! The settings of a training, in one registry that everything about them is generated from.
//!
//! A setting is one entry in [`registry`]: name, type, range, default, documentation, category, whether it is part of a
//! run's identity, and how it may be searched. The entry defines its field in [`Overrides`], `--set NAME=VALUE` and the
//! key in `task.yaml` with their errors, the help, `docs/settings.md`, the JSON schema and the search space. The effect
//! of a setting is in the code of the planner that uses it.

mod choice;
mod declare;
mod document;
mod json;
mod overrides;
pub mod range;
pub mod registry;
mod setting;
pub(crate) mod suggest;
mod value;
mod words;

pub use choice::{AugmentMode, CropMode, NormalizeMode, ResampleMode};
pub use document::markdown;
pub use json::{listing, schema, search_space};
pub use overrides::OverrideError;
pub use registry::{Overrides, all, find};
pub use setting::{
    AnySetting, Category, Definition, FixedDefault, OutOfRange, Scale, Search, Setting,
};
pub use value::{Choice, SettingValue, Type};
pub use words::{searched, value_of};

#[cfg(test)]
mod tests;
