//! Focal loss by voxel and class.

use super::exponential::{exponential, logarithm_of_one_plus};
use super::softmax::{BLOCK, Softmax};
use super::voxel_term::{LabeledBlock, VoxelTerm};
use crate::reference::FOCAL_SMOOTH_NUMERATOR;

/// `-(1 - q)² log q`, where `q` is the sigmoid of the logit of the true class, and 1 less that of another.
pub struct Focal {
    /// Logits of a block, then losses or their derivatives, `[classes, voxels]`.
    values: Vec<[f32; BLOCK]>,
}

/// `1 - q` and `-log q` of a logit with the sign turned where its class is the true one.
#[inline(always)]
fn doubted(doubt: f32) -> [f32; 2] {
    let small = exponential(-doubt.abs());
    let above = if doubt > 0.0 { 1.0 } else { small };
    let positive = if doubt < 0.0 { 0.0 } else { doubt };
    [
        above / (1.0 + small),
        positive + logarithm_of_one_plus(small),
    ]
}

impl Focal {
    /// Replaces each logit of a block by a function of its doubt and the sign that turned it.
    #[inline(always)]
    fn compute(&mut self, block: LabeledBlock, function: impl Fn([f32; 2], f32) -> f32) {
        let k = self.values.len();
        for (v, logits) in block.logits.chunks_exact(k).enumerate() {
            for (to, logit) in self.values.iter_mut().zip(logits) {
                to[v] = *logit;
            }
        }
        let mut truth = [-1; BLOCK];
        truth[..block.labels.len()].copy_from_slice(block.labels);
        for (class, values) in self.values.iter_mut().enumerate() {
            for v in 0..BLOCK {
                let sign = if truth[v] == class as i32 { -1.0 } else { 1.0 };
                values[v] = function(doubted(sign * values[v]), sign);
            }
        }
    }
}

impl VoxelTerm for Focal {
    const SMOOTH_NUMERATOR: f64 = FOCAL_SMOOTH_NUMERATOR;

    fn new(classes: usize) -> Self {
        Self {
            values: vec![[0.0; BLOCK]; classes],
        }
    }

    fn classes(&self) -> usize {
        self.values.len()
    }

    fn count(voxels: usize, classes: usize) -> usize {
        voxels * classes
    }

    #[inline(always)]
    fn sum(&mut self, block: LabeledBlock, _: &Softmax) -> f64 {
        self.compute(block, |[wrong, loss], _| wrong * wrong * loss);
        let mut sum = 0.0;
        for values in &self.values {
            for value in &values[..block.labels.len()] {
                sum += f64::from(*value);
            }
        }
        sum
    }

    #[inline(always)]
    fn slopes(&mut self, block: LabeledBlock, _: &Softmax) {
        // d(s² log(1 + eᵘ))/du = s² (2 (1 - s) log(1 + eᵘ) + s) for s = sigmoid(u).
        self.compute(block, |[wrong, loss], sign| {
            sign * wrong * wrong * (2.0 * (1.0 - wrong) * loss + wrong)
        });
    }

    #[inline(always)]
    fn slope(&self, class: usize, voxel: usize, _: f32, _: bool) -> f32 {
        self.values[class][voxel]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_those_of_double_precision() {
        for i in -1000..=1000 {
            let doubt = 0.05 * i as f32;
            let exact = f64::from(doubt);
            let expected = [
                1.0 / (1.0 + (-exact).exp()),
                exact.max(0.0) + (-exact.abs()).exp().ln_1p(),
            ];
            for (actual, expected) in doubted(doubt).into_iter().zip(expected) {
                let error = (f64::from(actual) - expected).abs();
                assert!(
                    error <= 1e-6 * expected,
                    "{actual} instead of {expected} at {doubt}"
                );
            }
        }
        assert!(doubted(f32::NAN).iter().all(|value| value.is_nan()));
    }
}
