//! The labels that the ensemble gives the probe's input, as runs.

use std::collections::BTreeMap;
use std::io::{self, Read};

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
            sha256: digest_of(&runs),
            voxels: count(&runs),
            runs,
        }
    }

    /// Decodes to labels in C order.
    ///
    /// **Errors**: the runs are not `voxels` long together; nothing is allocated in that case.
    pub fn decode(&self, voxels: usize) -> Result<Vec<u16>, ProbeError> {
        self.check_length(voxels)?;
        Ok(self
            .runs
            .iter()
            .flat_map(|&(value, length)| std::iter::repeat_n(value, length as usize))
            .collect())
    }

    fn check_length(&self, voxels: usize) -> Result<(), ProbeError> {
        let lengths = self.runs.iter().map(|(_, length)| *length);
        let (found, expected) = (lengths.fold(0, u64::saturating_add), voxels as u64);
        match found == expected {
            true => Ok(()),
            false => Err(ProbeError::LabelVoxels { found, expected }),
        }
    }

    /// Checks the rules against a plan with windows of this many voxels, without decoding the labels.
    pub(super) fn validate(&self, plan: &DeployPlan, voxels: usize) -> Result<(), ProbeError> {
        self.check_length(voxels)?;
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
        if self.sha256 != digest_of(&self.runs) {
            return Err(ProbeError::Labels { what: "SHA-256" });
        }
        Ok(())
    }
}

/// SHA-256 of the labels, each as two bytes, the lower one first.
fn digest_of(runs: &[(u16, u64)]) -> String {
    let mut bytes = RunBytes { runs, position: 0 };
    // Neither reading from memory nor writing to nowhere fails.
    digest::copy(&mut bytes, &mut io::sink()).map_or_else(|_| String::new(), |(_, sha256)| sha256)
}

/// The bytes of labels that are encoded as runs.
struct RunBytes<'a> {
    runs: &'a [(u16, u64)],
    /// Bytes of the first run that were read.
    position: u64,
}

impl Read for RunBytes<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(((value, length), later)) = self.runs.split_first() {
            let left = length.saturating_mul(2).saturating_sub(self.position);
            if left == 0 {
                (self.runs, self.position) = (later, 0);
                continue;
            }
            let count = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
            let bytes = value.to_le_bytes();
            for (byte, position) in buffer[..count].iter_mut().zip(self.position..) {
                *byte = bytes[(position % 2) as usize];
            }
            self.position += count as u64;
            return Ok(count);
        }
        Ok(0)
    }
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
