//! Replaying the probe of a bundle.

use std::time::{Duration, Instant};

use ndarray::{Array5, ShapeError};
use thiserror::Error;
use vesal_bundle::Bundle;
use vesal_bundle::probe::{LogitSample, ProbeError, ProbeInput, Tolerance};

use crate::device::Device;
use crate::ensemble::Ensemble;
use crate::error::EngineError;
use crate::options::EngineOptions;

/// Why a probe cannot be replayed.
#[derive(Debug, Error)]
pub enum VerifyError {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Probe(#[from] ProbeError),
    /// The probe's input does not have the shape that it states.
    #[error("the probe's input has no shape")]
    Input(#[from] ShapeError),
}

impl VerifyError {
    /// A remedy for the user, if there is one.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Engine(error) => error.hint(),
            Self::Probe(error) => error.hint(),
            Self::Input(_) => None,
        }
    }
}

/// Differences of a bundle's answers on this machine from the recorded ones.
#[derive(Debug, Clone, PartialEq)]
pub struct VerifyReport {
    /// Device that ran it.
    pub device: Device,
    /// Largest absolute difference of each member's logits; NaN where a logit is not a number.
    pub logit_differences: Vec<f64>,
    /// Fraction of the windows' voxels with the recorded label.
    pub identical_labels: f64,
    /// Tolerances of the probe.
    pub tolerance: Tolerance,
    /// Time of the networks.
    pub time: Duration,
}

impl VerifyReport {
    /// Whether all differences are tolerated.
    pub fn passed(&self) -> bool {
        self.logit_differences
            .iter()
            .all(|difference| *difference <= self.tolerance.max_logit_difference)
            && self.identical_labels >= self.tolerance.min_identical_labels
    }
}

/// Replays the probe of a bundle on this machine.
///
/// **Errors**: the networks cannot be run; answers that deviate are not an error, see [`VerifyReport::passed`].
pub fn verify(bundle: &Bundle, options: &EngineOptions) -> Result<VerifyReport, VerifyError> {
    replay(bundle, &mut Ensemble::open(bundle, options)?)
}

/// The same with the networks of the bundle that are loaded already.
///
/// **Errors**: see [`verify`].
pub fn replay(bundle: &Bundle, ensemble: &mut Ensemble) -> Result<VerifyReport, VerifyError> {
    let probe = bundle.probe();
    let start = Instant::now();
    let mut logit_differences = vec![0.; bundle.manifest().members.len()];
    let (mut voxels, mut identical) = (0, 0);
    for (index, group) in probe.groups.iter().enumerate() {
        let input = input_array(&group.input)?;
        let members = &bundle.groups()[index].members;
        let mut answers = members.iter().zip(&group.members);
        let labels = ensemble.answer(index, &input, |_, logits| {
            let Some((&member, answer)) = answers.next() else {
                return;
            };
            let values: Vec<f32> = logits.iter().copied().collect();
            let difference =
                |sample: &LogitSample| f64::from((values[sample.index] - sample.value).abs());
            let differences = answer.logits.iter().map(difference);
            logit_differences[member] = largest(differences);
        })?;
        let expected = group.labels.decode(labels.len())?;
        let same = labels.iter().zip(&expected);
        voxels += labels.len();
        identical += same.filter(|(found, expected)| found == expected).count();
    }
    let time = start.elapsed();
    Ok(VerifyReport {
        device: ensemble.device(),
        logit_differences,
        identical_labels: identical as f64 / voxels as f64,
        tolerance: probe.tolerance,
        time,
    })
}

/// Largest of some differences, 0 of none; NaN if one of them is NaN, which `f64::max` would leave out.
pub fn largest(differences: impl IntoIterator<Item = f64>) -> f64 {
    let larger = |most: f64, one: f64| {
        if one > most || one.is_nan() {
            one
        } else {
            most
        }
    };
    differences.into_iter().fold(0., larger)
}

fn input_array(input: &ProbeInput) -> Result<Array5<f32>, ShapeError> {
    Array5::from_shape_vec(input.shape, input.values())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_difference_is_not_a_number_where_one_is_not() {
        assert_eq!(largest([]), 0.);
        assert_eq!(largest([0.5, 2., 1.]), 2.);
        assert!(largest([f64::NAN, 2.]).is_nan());
        assert!(largest([2., f64::NAN, 1.]).is_nan());
    }

    #[test]
    fn logits_that_are_not_numbers_do_not_pass() {
        let report = VerifyReport {
            device: Device::Cpu,
            logit_differences: vec![0., f64::NAN],
            identical_labels: 1.,
            tolerance: Tolerance {
                max_logit_difference: 1.,
                min_identical_labels: 0.9,
            },
            time: Duration::ZERO,
        };
        assert!(!report.passed());
    }
}
