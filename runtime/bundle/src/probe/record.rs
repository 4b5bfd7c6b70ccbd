//! Recording a probe from the complete logits of its members.

use std::collections::BTreeSet;

use ndarray::Array4;
use vesal_volume::postprocess::{Combination, Combine};

use super::document::{LogitSample, MemberProbe, Probe, ProbeGroup, Tolerance};
use super::error::ProbeError;
use super::input::ProbeInput;
use super::labels::ExpectedLabels;
use crate::deploy_plan::DeployPlan;

/// Most logits that a recorded probe has per member.
const SAMPLES: usize = 256;
/// Seed of recorded probes.
const SEED: u32 = 1543;
/// Tolerated difference as a fraction of the largest logit: TF32 rounds products to about 1e-3.
const LOGIT_TOLERANCE: f64 = 0.01;
/// Tolerated fraction of identical labels: where classes are equally likely, rounding decides.
const LABEL_TOLERANCE: f64 = 0.99;

/// Records the outputs of the members that share a deploy plan for one window.
#[derive(Debug)]
pub struct ProbeRecorder<'a> {
    plan: &'a DeployPlan,
    input: ProbeInput,
    combination: Combination,
    members: Vec<MemberProbe>,
    largest_logit: f64,
}

impl<'a> ProbeRecorder<'a> {
    pub fn new(plan: &'a DeployPlan, combine: Combine) -> Self {
        Self {
            plan,
            input: ProbeInput::new(SEED, plan.channels.len(), plan.window.size),
            combination: Combination::new(combine, plan.activation),
            members: Vec::new(),
            largest_logit: 1.0,
        }
    }

    /// The window that the members are to predict.
    pub fn input(&self) -> &ProbeInput {
        &self.input
    }

    /// Adds the next member's logits, `[K, X, Y, Z]`.
    ///
    /// **Errors**: a shape unlike the first member's, or a weight that is not finite and above 0.
    pub fn add(&mut self, logits: Array4<f32>, weight: f64) -> Result<(), ProbeError> {
        let magnitude = |largest: f64, &logit: &f32| largest.max(f64::from(logit.abs()));
        self.largest_logit = logits.iter().fold(self.largest_logit, magnitude);
        let values: Vec<f32> = logits.iter().copied().collect();
        let samples = sample_indices(values.len()).map(|index| LogitSample {
            index,
            value: values[index],
        });
        self.members.push(MemberProbe {
            logits: samples.collect(),
        });
        Ok(self.combination.add(logits, weight)?)
    }
}

impl Probe {
    /// Combines the recorded groups.
    ///
    /// The tolerances accept devices that round differently (TF32), and reject wrong results: 1 % of the largest logit,
    /// and 99 % of identical labels.
    ///
    /// **Errors**: a group without members, or logits that are not numbers.
    pub fn record(groups: Vec<ProbeRecorder<'_>>) -> Result<Self, ProbeError> {
        let mut largest_logit = 1_f64;
        let finish = |recorder: ProbeRecorder<'_>| {
            largest_logit = largest_logit.max(recorder.largest_logit);
            let probabilities = recorder.combination.finish()?;
            let values = recorder.plan.label_values();
            let labels = recorder
                .plan
                .activation
                .labels(probabilities.view(), &values)?;
            let labels: Vec<u16> = labels.iter().copied().collect();
            Ok(ProbeGroup {
                input: recorder.input,
                members: recorder.members,
                labels: ExpectedLabels::encode(&labels),
            })
        };
        let groups = groups.into_iter().map(finish);
        let groups = groups.collect::<Result<Vec<_>, ProbeError>>()?;
        Ok(Self {
            groups,
            tolerance: Tolerance {
                max_logit_difference: LOGIT_TOLERANCE * largest_logit,
                min_identical_labels: LABEL_TOLERANCE,
            },
        })
    }
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
