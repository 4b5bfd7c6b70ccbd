//! Why a probe cannot be used.

use thiserror::Error;
use vesal_files::document::DocumentError;
use vesal_volume::postprocess::{LabelingError, MeanError};

/// Why a probe cannot be used.
#[derive(Debug, Error)]
pub enum ProbeError {
    /// Another number of windows than of deploy plans.
    #[error("the probe has {found} windows, expected {expected}: one for each deploy plan")]
    Groups { found: usize, expected: usize },
    /// Larger windows than any bundle needs.
    #[error("the windows of all deploy plans have {found} voxels, expected at most {max}")]
    Voxels { found: u64, max: u64 },
    /// Logits that cannot be combined.
    #[error("the members' logits cannot be combined")]
    Combine(#[from] MeanError),
    /// Logits without labels.
    #[error("the members' logits give no labels")]
    Label(#[from] LabelingError),
    /// Not readable as a probe of this version.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The input is not one window of the plan.
    #[error("the probe's input has shape {found:?}, expected {expected:?}")]
    Shape {
        /// Its shape, `[N, C, X, Y, Z]`.
        found: [usize; 5],
        /// One window of the plan.
        expected: [usize; 5],
    },
    /// The number of answers differs from that of members.
    #[error("the probe has answers of {found} members, expected {expected}")]
    Members {
        /// How many it has.
        found: usize,
        /// Members of the bundle.
        expected: usize,
    },
    /// A member without samples.
    #[error("the probe has no logits of member {member}")]
    NoLogits {
        /// The member, from 0.
        member: usize,
    },
    /// A sample lies outside the output or is not a number.
    #[error(
        "the probe has logit {value} at index {index} of member {member}, expected a finite one below index {limit}"
    )]
    Logit {
        /// The member, from 0.
        member: usize,
        index: usize,
        value: f32,
        /// Values in the output.
        limit: usize,
    },
    /// The runs do not fill the window.
    #[error("the probe has labels of {found} voxels, expected {expected}")]
    LabelVoxels {
        /// Voxels in its runs.
        found: u64,
        /// Voxels of the window.
        expected: u64,
    },
    /// A label that the plan does not have.
    #[error("the probe has the label value {found}, which is none of the deploy plan's")]
    LabelValue { found: u16 },
    /// The runs contradict digest or counts.
    #[error("the probe's labels contradict their own {what}")]
    Labels { what: &'static str },
    /// A tolerance out of range.
    #[error("the probe has the tolerance {what} = {found}, expected {expected}")]
    Tolerance {
        what: &'static str,
        found: f64,
        expected: &'static str,
    },
}

impl ProbeError {
    /// A remedy for the user, if there is one.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Document(error) => error.hint(),
            _ => Some("the bundle is damaged or was put together wrongly: export it again"),
        }
    }
}
