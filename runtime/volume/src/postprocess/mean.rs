//! The running mean of an ensemble's probabilities.

use ndarray::{Array4, Axis, Zip};
use rayon::prelude::*;
use thiserror::Error;

use super::Activation;

/// Why predictions cannot be combined.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum MeanError {
    /// Members that predict different grids or classes.
    #[error(
        "ensemble member has logits of shape {found:?}, the members before it {expected:?} ([K, X, Y, Z])"
    )]
    Shape {
        /// Shape of the first member.
        expected: [usize; 4],
        /// Shape of this member.
        found: [usize; 4],
    },
    /// A weight that is not finite and above 0.
    #[error("ensemble member has weight {found}, expected a finite number above 0")]
    Weight { found: f64 },
    #[error("ensemble has 0 members, expected at least 1")]
    Empty,
}

/// A weighted mean of class probabilities that holds one array, however many members it has.
///
/// **Definition**: `sum(w p) / sum(w)` of the members' probabilities `p`: they are averaged, not logits.
#[derive(Debug)]
pub struct ProbabilityMean {
    activation: Activation,
    mean: Option<Array4<f32>>,
    weight: f64,
}

impl ProbabilityMean {
    /// Starts an empty mean of probabilities that this activation makes of logits.
    pub fn new(activation: Activation) -> Self {
        Self {
            activation,
            mean: None,
            weight: 0.0,
        }
    }

    /// Adds one member's probabilities, `[K, X, Y, Z]`; the first member's array becomes the mean.
    ///
    /// **Errors**: as [`add`](Self::add).
    pub fn add_probabilities(
        &mut self,
        probabilities: Array4<f32>,
        weight: f64,
    ) -> Result<(), MeanError> {
        check_member(self.mean.as_ref(), &probabilities, weight)?;
        self.weight += weight;
        let share = (weight / self.weight) as f32;
        match &mut self.mean {
            None => self.mean = Some(probabilities),
            Some(mean) => {
                let means: Vec<_> = mean.axis_iter_mut(Axis(1)).collect();
                let slabs: Vec<_> = probabilities.axis_iter(Axis(1)).collect();
                let mix = |(means, slab)| {
                    Zip::from(means)
                        .and(slab)
                        .for_each(|mean: &mut f32, value: &f32| *mean += share * (value - *mean));
                };
                means.into_par_iter().zip(slabs).for_each(mix);
            }
        }
        Ok(())
    }

    /// Adds one member's logits, `[K, X, Y, Z]`; the first member's array becomes the mean.
    ///
    /// **Errors**: a shape unlike the first member's, or a weight that is not finite and above 0. The mean is then
    /// as before.
    pub fn add(&mut self, mut logits: Array4<f32>, weight: f64) -> Result<(), MeanError> {
        check_member(self.mean.as_ref(), &logits, weight)?;
        let Some(mean) = &mut self.mean else {
            self.activation.probabilities_in_place(logits.view_mut());
            self.mean = Some(logits);
            self.weight = weight;
            return Ok(());
        };
        self.weight += weight;
        let share = (weight / self.weight) as f32;
        let activation = self.activation;
        let means: Vec<_> = mean.axis_iter_mut(Axis(1)).collect();
        let slabs: Vec<_> = logits.axis_iter_mut(Axis(1)).collect();
        means
            .into_par_iter()
            .zip(slabs)
            .for_each(|(means, mut slab)| {
                activation.probabilities_of_slab(slab.view_mut());
                Zip::from(means)
                    .and(&slab)
                    .for_each(|mean, value| *mean += share * (value - *mean));
            });
        Ok(())
    }

    /// Returns the mean probabilities, `[K, X, Y, Z]`.
    ///
    /// **Errors**: no member was added.
    pub fn finish(self) -> Result<Array4<f32>, MeanError> {
        self.mean.ok_or(MeanError::Empty)
    }
}

/// Checks that a member has the shape of those before it, and a finite weight above 0.
pub(super) fn check_member(
    before: Option<&Array4<f32>>,
    member: &Array4<f32>,
    weight: f64,
) -> Result<(), MeanError> {
    if !(weight.is_finite() && weight > 0.0) {
        return Err(MeanError::Weight { found: weight });
    }
    match before {
        Some(before) if before.dim() != member.dim() => Err(MeanError::Shape {
            expected: before.dim().into(),
            found: member.dim().into(),
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    fn logits(first: f32) -> Array4<f32> {
        array![[[[first, 0.0]]], [[[0.0, 0.0]]]]
    }

    #[test]
    fn averages_probabilities_by_weight() {
        let mut mean = ProbabilityMean::new(Activation::Softmax);
        mean.add(logits(200.0), 3.0).unwrap();
        mean.add(logits(-200.0), 1.0).unwrap();
        assert_eq!(
            mean.finish().unwrap(),
            array![[[[0.75, 0.5]]], [[[0.25, 0.5]]]]
        );
    }

    #[test]
    fn one_member_is_its_softmax() {
        let mut expected = logits(1.5);
        Activation::Softmax.probabilities_in_place(expected.view_mut());
        let mut mean = ProbabilityMean::new(Activation::Softmax);
        mean.add(logits(1.5), 1.0).unwrap();
        assert_eq!(mean.finish().unwrap(), expected);
    }

    #[test]
    fn regions_are_averaged_each_on_its_own() {
        let mut mean = ProbabilityMean::new(Activation::Sigmoid);
        mean.add(logits(200.0), 1.0).unwrap();
        mean.add(logits(-200.0), 3.0).unwrap();
        assert_eq!(
            mean.finish().unwrap(),
            array![[[[0.25, 0.5]]], [[[0.5, 0.5]]]]
        );
    }

    #[test]
    fn refuses_other_shapes_and_bad_weights_without_a_trace() {
        let mut mean = ProbabilityMean::new(Activation::Softmax);
        mean.add(logits(200.0), 1.0).unwrap();
        let other = mean.add(Array4::zeros((3, 1, 1, 2)), 1.0).unwrap_err();
        assert_eq!(
            other,
            MeanError::Shape {
                expected: [2, 1, 1, 2],
                found: [3, 1, 1, 2]
            }
        );
        for weight in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(
                matches!(mean.add(logits(0.0), weight), Err(MeanError::Weight { .. })),
                "{weight}"
            );
        }
        assert_eq!(
            mean.finish().unwrap(),
            array![[[[1.0, 0.5]]], [[[0.0, 0.5]]]]
        );
    }

    #[test]
    fn an_empty_ensemble_has_no_mean() {
        assert_eq!(
            ProbabilityMean::new(Activation::Softmax).finish(),
            Err(MeanError::Empty)
        );
    }
}
