//! The fields of the probe and its rules.

use serde::{Deserialize, Serialize};
use vesal_files::document::{self, VersionedDocument};

use super::error::ProbeError;
use super::input::ProbeInput;
use super::labels::ExpectedLabels;
use crate::deploy_plan::DeployPlan;

/// File name inside a bundle.
pub const FILE_NAME: &str = "probe.json";

/// One logit of a member's output.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogitSample {
    /// Index into the output `[1, K, X, Y, Z]` in C order.
    pub index: usize,
    pub value: f32,
}

/// Expected output of one member.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberProbe {
    /// Samples of its logits.
    pub logits: Vec<LogitSample>,
}

/// Tolerances for other machines.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tolerance {
    /// Largest absolute difference of a logit.
    pub max_logit_difference: f64,
    /// Smallest fraction of voxels whose label is the same.
    pub min_identical_labels: f64,
}

/// One window with the expected outputs of the members that share a deploy plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbeGroup {
    /// One window, already preprocessed.
    pub input: ProbeInput,
    /// Expected outputs of the members, in their order.
    pub members: Vec<MemberProbe>,
    /// Labels from the members' combined probabilities.
    pub labels: ExpectedLabels,
}

/// `probe.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// One for each deploy plan, in the order of the first members that refer to them.
    pub groups: Vec<ProbeGroup>,
    /// Tolerances for other machines.
    pub tolerance: Tolerance,
}

/// Most voxels of all windows together: the labels of each are recorded.
const MAX_VOXELS: u64 = 1 << 28;

impl VersionedDocument for Probe {
    const FORMAT: &str = "vesal-probe";
    const VERSION: u32 = 2;
    const MAX_BYTES: u64 = 256 << 20;
}

impl Probe {
    /// Returns the bytes of its file, without line breaks: the labels have many runs.
    ///
    /// **Errors**: [`ProbeError`].
    pub fn to_json(&self) -> Result<Vec<u8>, ProbeError> {
        Ok(document::to_compact_json(self, FILE_NAME)?)
    }

    /// Checks every rule of the format that the types do not express, against the deploy plans of a bundle, each with
    /// the number of members that refer to it.
    ///
    /// **Errors**: the first rule that is broken.
    pub fn validate(&self, groups: &[(&DeployPlan, usize)]) -> Result<(), ProbeError> {
        if self.groups.len() != groups.len() {
            return Err(ProbeError::Groups {
                found: self.groups.len(),
                expected: groups.len(),
            });
        }
        self.tolerance.validate()?;
        let window = |(plan, _): &(&DeployPlan, usize)| {
            let sides = plan.window.size.iter().map(|side| *side as u64);
            sides.fold(1, u64::saturating_mul)
        };
        let found = groups.iter().map(window).fold(0, u64::saturating_add);
        if found > MAX_VOXELS {
            let max = MAX_VOXELS;
            return Err(ProbeError::Voxels { found, max });
        }
        self.groups
            .iter()
            .zip(groups)
            .try_for_each(|(group, (plan, members))| group.validate(plan, *members))
    }
}

impl Tolerance {
    fn validate(&self) -> Result<(), ProbeError> {
        let Tolerance {
            max_logit_difference,
            min_identical_labels,
        } = *self;
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
        Ok(())
    }
}

impl ProbeGroup {
    fn validate(&self, plan: &DeployPlan, members: usize) -> Result<(), ProbeError> {
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
        self.labels.validate(plan, x * y * z)
    }
}
