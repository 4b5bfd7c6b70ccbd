//! Replaying the probe of a bundle, and recording one.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use ndarray::{Array5, ShapeError};
use thiserror::Error;
use vesal_bundle::manifest::NetworkInterface;
use vesal_bundle::probe::{
    ExpectedLabels, LogitSample, MemberProbe, Probe, ProbeError, ProbeInput, Tolerance,
};
use vesal_bundle::{Bundle, DeployPlan};
use vesal_volume::postprocess::Combine;

use crate::device::Device;
use crate::ensemble::Ensemble;
use crate::error::EngineError;
use crate::options::{Convolutions, EngineOptions};

/// Most logits that a recorded probe has per member.
const SAMPLES: usize = 256;
/// Seed of recorded probes.
const SEED: u32 = 1543;
/// Tolerated difference as a fraction of the largest logit: TF32 rounds products to about 1e-3.
const LOGIT_TOLERANCE: f64 = 0.01;
/// Tolerated fraction of identical labels: where classes are equally likely, rounding decides.
const LABEL_TOLERANCE: f64 = 0.99;

/// Why a probe cannot be run or recorded.
#[derive(Debug, Error)]
pub enum VerifyError {
    /// The networks cannot be run.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The probe cannot be used.
    #[error(transparent)]
    Probe(#[from] ProbeError),
    /// The probe's input does not have the shape that it states.
    #[error("the probe's input has no shape")]
    Input(#[from] ShapeError),
}

impl VerifyError {
    /// A remedy, where there is one.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Engine(error) => error.hint(),
            Self::Probe(error) => error.hint(),
            Self::Input(_) => None,
        }
    }
}

/// How a bundle's answers on this machine compare with those that were recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct VerifyReport {
    /// Device that ran it.
    pub device: Device,
    /// Largest absolute difference of each member's logits.
    pub logit_differences: Vec<f64>,
    /// Fraction of the window's voxels with the recorded label.
    pub identical_labels: f64,
    /// What the probe tolerates.
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
/// **Errors**: the networks cannot be run; answers that deviate are no error, see [`VerifyReport::passed`].
pub fn verify(bundle: &Bundle, options: &EngineOptions) -> Result<VerifyReport, VerifyError> {
    replay(bundle, &mut Ensemble::open(bundle, options)?)
}

/// The same with the networks of the bundle that are loaded already.
///
/// **Errors**: see [`verify`].
pub fn replay(bundle: &Bundle, ensemble: &mut Ensemble) -> Result<VerifyReport, VerifyError> {
    let probe = bundle.probe();
    let input = input_array(&probe.input)?;
    let start = Instant::now();
    let mut logit_differences = Vec::new();
    let labels = ensemble.answer(&input, |member, logits| {
        let values: Vec<f32> = logits.iter().copied().collect();
        let difference =
            |sample: &LogitSample| f64::from((values[sample.index] - sample.value).abs());
        logit_differences.push(
            probe.members[member]
                .logits
                .iter()
                .map(difference)
                .fold(0., f64::max),
        );
    })?;
    let time = start.elapsed();
    let expected = probe.labels.decode(labels.len())?;
    let identical = labels
        .iter()
        .zip(&expected)
        .filter(|(found, expected)| found == expected)
        .count();
    Ok(VerifyReport {
        device: ensemble.device(),
        logit_differences,
        identical_labels: identical as f64 / labels.len() as f64,
        tolerance: probe.tolerance,
        time,
    })
}

/// Records the probe of networks that are about to become a bundle: bytes of their ONNX files and weights,
/// and how they are combined.
///
/// The recorded tolerances let another device pass that rounds otherwise (TF32), and fail one that computes wrongly:
/// 1 % of the largest logit, and 99 % of identical labels. Convolutions are ONNX Runtime's whatever the options say: what a
/// probe is for is to judge others.
///
/// **Errors**: the networks cannot be run.
pub fn record_probe(
    plan: &DeployPlan,
    interface: &NetworkInterface,
    networks: &[(&[u8], f64)],
    combine: Combine,
    options: &EngineOptions,
) -> Result<Probe, VerifyError> {
    let options = EngineOptions {
        convolutions: Convolutions::OnnxRuntime,
        ..options.clone()
    };
    let ensemble = Ensemble::from_networks(plan, interface, networks, &options)?;
    let mut ensemble = ensemble.combining(combine);
    let input = ProbeInput::new(SEED, plan.channels.len(), plan.window.size);
    let mut members = Vec::new();
    let mut largest = 1_f64;
    let labels = ensemble.answer(&input_array(&input)?, |_, logits| {
        largest = logits.iter().fold(largest, |largest, &logit| {
            largest.max(f64::from(logit.abs()))
        });
        let values: Vec<f32> = logits.iter().copied().collect();
        let logits = sample_indices(values.len()).map(|index| LogitSample {
            index,
            value: values[index],
        });
        members.push(MemberProbe {
            logits: logits.collect(),
        });
    })?;
    let probe = Probe {
        input,
        members,
        labels: ExpectedLabels::encode(&labels),
        tolerance: Tolerance {
            max_logit_difference: LOGIT_TOLERANCE * largest,
            min_identical_labels: LABEL_TOLERANCE,
        },
    };
    probe.validate(plan, networks.len())?;
    Ok(probe)
}

fn input_array(input: &ProbeInput) -> Result<Array5<f32>, ShapeError> {
    Array5::from_shape_vec(input.shape, input.values())
}

/// Indices spread over an array without falling into step with any axis: multiples of the golden ratio, modulo 1.
fn sample_indices(length: usize) -> impl Iterator<Item = usize> {
    let golden = (5_f64.sqrt() - 1.) / 2.;
    let indices: BTreeSet<usize> = (1..=SAMPLES)
        .map(|step| ((step as f64 * golden).fract() * length as f64) as usize)
        .filter(|index| *index < length)
        .collect();
    indices.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_cover_large_and_small_arrays() {
        let all: Vec<usize> = sample_indices(8).collect();
        assert_eq!(all, [0, 1, 2, 3, 4, 5, 6, 7]);
        let spread: Vec<usize> = sample_indices(1_000_000).collect();
        assert_eq!(spread.len(), SAMPLES);
        let widest = spread
            .windows(2)
            .map(|pair| pair[1] - pair[0])
            .max()
            .expect("several");
        assert!(widest < 1_000_000 / 100, "{widest}");
    }
}
