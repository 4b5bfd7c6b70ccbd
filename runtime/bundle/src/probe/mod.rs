//! The probe, `probe.json`: an input made from a seed and what the networks answer to it, so that a bundle can prove
//! itself on any machine.

mod input;
mod labels;

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use self::input::{InputGenerator, ProbeInput};
pub use self::labels::ExpectedLabels;
use crate::deploy_plan::DeployPlan;
use vesal_files::document::{self, DocumentError, VersionedDocument};

/// File name inside a bundle.
pub const FILE_NAME: &str = "probe.json";

/// One logit of a member's output.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogitSample {
    /// Index into the output `[1, K, X, Y, Z]` in C order.
    pub index: usize,
    /// Its value.
    pub value: f32,
}

/// What one member answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberProbe {
    /// Samples of its logits.
    pub logits: Vec<LogitSample>,
}

/// How far another machine may deviate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tolerance {
    /// Largest absolute difference of a logit.
    pub max_logit_difference: f64,
    /// Smallest fraction of voxels whose label is the same.
    pub min_identical_labels: f64,
}

/// `probe.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// One window, already preprocessed.
    pub input: ProbeInput,
    /// Answers of the members, in their order.
    pub members: Vec<MemberProbe>,
    /// Labels of the ensemble, from the weighted mean of the members' probabilities.
    pub labels: ExpectedLabels,
    /// How far another machine may deviate.
    pub tolerance: Tolerance,
}

/// Why a probe cannot be used.
#[derive(Debug, Error)]
pub enum ProbeError {
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
    /// Answers and members do not pair.
    #[error("the probe has answers of {found} members, expected {expected}")]
    Members {
        /// How many it has.
        found: usize,
        /// Members of the bundle.
        expected: usize,
    },
    /// A member without samples proves nothing.
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
        /// Its index.
        index: usize,
        /// Its value.
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
    LabelValue {
        /// The value.
        found: u16,
    },
    /// The runs are not what digest and counts say.
    #[error("the probe's labels contradict their own {what}")]
    Labels {
        /// What they contradict.
        what: &'static str,
    },
    /// A tolerance that nothing or everything meets.
    #[error("the probe has the tolerance {what} = {found}, expected {expected}")]
    Tolerance {
        /// Which tolerance.
        what: &'static str,
        /// Its value.
        found: f64,
        /// The range.
        expected: &'static str,
    },
}

impl ProbeError {
    /// A remedy, where there is one.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Document(error) => error.hint(),
            _ => Some("the bundle is damaged or was put together wrongly: export it again"),
        }
    }
}

impl VersionedDocument for Probe {
    const FORMAT: &str = "vesal-probe";
    const VERSION: u32 = 1;
    const MAX_BYTES: u64 = 256 << 20;
}

impl Probe {
    /// Parses a probe and validates it against the plan and the number of members.
    ///
    /// **Errors**: [`ProbeError`].
    pub fn from_json(bytes: &[u8], plan: &DeployPlan, members: usize) -> Result<Self, ProbeError> {
        let probe: Self = document::parse(bytes, FILE_NAME)?;
        probe.validate(plan, members)?;
        Ok(probe)
    }

    /// Gives the bytes of its file, without line breaks: the labels have many runs.
    ///
    /// **Errors**: [`ProbeError`].
    pub fn to_json(&self) -> Result<Vec<u8>, ProbeError> {
        Ok(document::to_compact_json(self, FILE_NAME)?)
    }

    /// Checks every rule of the format that the types do not express.
    ///
    /// **Errors**: the first rule that is broken.
    pub fn validate(&self, plan: &DeployPlan, members: usize) -> Result<(), ProbeError> {
        let [x, y, z] = plan.window.size;
        let (found, expected) = (self.input.shape, [1, plan.channels.len(), x, y, z]);
        if found != expected {
            return Err(ProbeError::Shape { found, expected });
        }
        if self.members.len() != members {
            return Err(ProbeError::Members {
                found: self.members.len(),
                expected: members,
            });
        }
        let limit = plan.labels.len() * x * y * z;
        for (member, answer) in self.members.iter().enumerate() {
            if answer.logits.is_empty() {
                return Err(ProbeError::NoLogits { member });
            }
            if let Some(&LogitSample { index, value }) = answer
                .logits
                .iter()
                .find(|sample| sample.index >= limit || !sample.value.is_finite())
            {
                return Err(ProbeError::Logit {
                    member,
                    index,
                    value,
                    limit,
                });
            }
        }
        let Tolerance {
            max_logit_difference,
            min_identical_labels,
        } = self.tolerance;
        if !(max_logit_difference.is_finite() && max_logit_difference > 0.) {
            let (what, expected) = ("max_logit_difference", "a positive number");
            return Err(ProbeError::Tolerance {
                what,
                found: max_logit_difference,
                expected,
            });
        }
        if !(min_identical_labels > 0. && min_identical_labels <= 1.) {
            let (what, expected) = ("min_identical_labels", "more than 0 and at most 1");
            return Err(ProbeError::Tolerance {
                what,
                found: min_identical_labels,
                expected,
            });
        }
        self.labels.validate(plan, x * y * z)
    }
}
