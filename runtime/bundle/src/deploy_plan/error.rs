//! Why a deploy plan cannot be used.

use thiserror::Error;
use vesal_volume::preprocess::PreprocessError;
use vesal_volume::window::WindowError;

use super::channel::PatternError;
use super::code::CodeError;
use super::limits::{MAX_WINDOW_SIDE, MAX_WINDOW_VOXELS};
use crate::name::NameError;
use vesal_files::document::DocumentError;

/// Why a deploy plan cannot be used.
#[derive(Debug, Error)]
pub enum PlanError {
    /// Not readable as a deploy plan of this version.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// A name breaks the rules for names.
    #[error("the deploy plan has an unusable name of its {of}")]
    Name {
        /// Whose name: task, channel or label.
        of: &'static str,
        source: NameError,
    },
    /// Too few or too many of something.
    #[error("the deploy plan has {found} {of}, expected {least} to {most}")]
    Count {
        /// The kind of parts: channels, labels, preprocessing steps.
        of: &'static str,
        /// How many there are.
        found: usize,
        least: usize,
        most: usize,
    },
    /// Two channels or labels share a name or a value.
    #[error("the deploy plan has two {of} {what}")]
    Duplicate { of: &'static str, what: String },
    /// Labels are not listed by class index 0, 1, 2, …
    #[error("label `{label}` has class index {found}, expected {expected}")]
    ClassIndex {
        /// Name of the label.
        label: String,
        found: usize,
        expected: usize,
    },
    /// Class 0 is background and is written as 0.
    #[error("label `{label}` of class index 0 has value {found}, expected 0 for background")]
    Background {
        /// Name of the label.
        label: String,
        found: u16,
    },
    /// A region is not the bit of its class.
    #[error("region `{label}` has value {found}, expected {expected}, the bit of its class index")]
    Region {
        /// Name of the region.
        label: String,
        found: u16,
        expected: u16,
    },
    /// A label consists of no value, or of one value twice.
    #[error(
        "label `{label}` consists of the values {found:?}, expected at least one, each once and above 0"
    )]
    Index {
        /// Name of the label.
        label: String,
        found: Vec<u16>,
    },
    /// Two labels that exclude each other share a value.
    #[error("labels `{first}` and `{second}` both consist of the value {value}")]
    SharedIndex {
        first: String,
        second: String,
        value: u16,
    },
    /// Patterns of series descriptions that cannot be used.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// A label's code that cannot be used.
    #[error(transparent)]
    Code(#[from] CodeError),
    /// A preprocessing step has a parameter out of range.
    #[error("preprocessing step {position}: {parameter} is {found}, expected {expected}")]
    Step {
        /// Position of the step, from 0.
        position: usize,
        /// The parameter, with its unit.
        parameter: &'static str,
        found: String,
        expected: &'static str,
    },
    /// A preprocessing step cannot be executed.
    #[error("the deploy plan's preprocessing is unusable")]
    Preprocessing(#[from] PreprocessError),
    /// Windows of this plan cannot be placed.
    #[error("the deploy plan's window is unusable")]
    Window(#[from] WindowError),
    /// A window larger than any network takes.
    #[error(
        "the window has {found:?} voxels, expected at most {MAX_WINDOW_SIDE} along every axis and {MAX_WINDOW_VOXELS} in all"
    )]
    WindowSize {
        /// Its size in voxels.
        found: [usize; 3],
    },
}

impl PlanError {
    /// A remedy for the user, if there is one.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Document(error) => error.hint(),
            Self::Pattern(error) => Some(error.hint()),
            Self::Code(error) => Some(error.hint()),
            _ => None,
        }
    }
}
