//! The labels that the ensemble gives the probe's input, as runs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::error::ProbeError;
use crate::deploy_plan::{Activation, DeployPlan};
use vesal_files::digest;

/// Labels of one window in C order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedLabels {
    /// SHA-256 of the label values as little-endian 16-bit integers, `[X, Y, Z]` in C order.
    pub sha256: String,
    /// Voxels of each label value that occurs.
    pub voxels: BTreeMap<u16, u64>,
    /// `[value, length]` of every run.
    pub runs: Vec<(u16, u64)>,
}

impl ExpectedLabels {
    /// Encodes labels in C order.
    pub fn encode(labels: &[u16]) -> Self {
        let mut runs: Vec<(u16, u64)> = Vec::new();
        for &label in labels {
            match runs.last_mut() {
                Some((value, length)) if *value == label => *length += 1,
                _ => runs.push((label, 1)),
            }
        }
        Self {
            sha256: digest_of(labels),
            voxels: count(&runs),
            runs,
        }
    }

    /// Decodes to labels in C order.
    ///
    /// **Errors**: the runs are not `voxels` long together; nothing is allocated in that case.
    pub fn decode(&self, voxels: usize) -> Result<Vec<u16>, ProbeError> {
        let found = self
            .runs
            .iter()
            .fold(0_u64, |sum, (_, length)| sum.saturating_add(*length));
        if found != voxels as u64 {
            return Err(ProbeError::LabelVoxels {
                found,
                expected: voxels as u64,
            });
        }
        Ok(self
            .runs
            .iter()
            .flat_map(|&(value, length)| std::iter::repeat_n(value, length as usize))
            .collect())
    }

    pub(super) fn validate(&self, plan: &DeployPlan, voxels: usize) -> Result<(), ProbeError> {
        let labels = self.decode(voxels)?;
        let values = plan.label_values();
        let regions = values.iter().fold(0, |all, value| all | value);
        let known = |value: &u16| match plan.activation {
            Activation::Softmax => values.contains(value),
            Activation::Sigmoid => value & !regions == 0,
        };
        if let Some(&(found, _)) = self.runs.iter().find(|(value, _)| !known(value)) {
            return Err(ProbeError::LabelValue { found });
        }
        if self.voxels != count(&self.runs) {
            return Err(ProbeError::Labels {
                what: "voxel counts",
            });
        }
        if self.sha256 != digest_of(&labels) {
            return Err(ProbeError::Labels { what: "SHA-256" });
        }
        Ok(())
    }
}

fn digest_of(labels: &[u16]) -> String {
    let bytes: Vec<u8> = labels
        .iter()
        .flat_map(|label| label.to_le_bytes())
        .collect();
    digest::sha256(&bytes)
}

fn count(runs: &[(u16, u64)]) -> BTreeMap<u16, u64> {
    let mut voxels = BTreeMap::new();
    for &(value, length) in runs {
        *voxels.entry(value).or_default() += length;
    }
    voxels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_give_back_the_labels() {
        let labels = [0, 0, 0, 2, 2, 1, 0, 65535];
        let encoded = ExpectedLabels::encode(&labels);
        assert_eq!(encoded.runs, [(0, 3), (2, 2), (1, 1), (0, 1), (65535, 1)]);
        assert_eq!(
            encoded.voxels,
            BTreeMap::from([(0, 4), (1, 1), (2, 2), (65535, 1)])
        );
        assert_eq!(encoded.decode(8).expect("eight voxels"), labels);
    }

    #[test]
    fn overlong_runs_are_rejected_without_an_allocation() {
        let mut encoded = ExpectedLabels::encode(&[0, 1]);
        encoded.runs = vec![(0, u64::MAX), (1, u64::MAX)];
        let error = encoded.decode(2).expect_err("too long");
        assert!(matches!(
            error,
            ProbeError::LabelVoxels {
                found: u64::MAX,
                expected: 2
            }
        ));
    }
}
