//! Combining the predictions of an ensemble.

use ndarray::Array4;
use serde::{Deserialize, Serialize};

use super::Activation;
use super::mean::{MeanError, ProbabilityMean};
use super::vote::Votes;

/// How an ensemble combines the predictions of its members.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Combine {
    /// The weighted mean of their probabilities.
    #[default]
    Mean,
    /// By weighted votes; see [`Votes`].
    Vote,
}

/// The members' predictions so far: one array, however many members there are.
#[derive(Debug)]
pub enum Combination {
    Mean(ProbabilityMean),
    Vote(Votes, Activation),
}

impl Combination {
    pub fn new(combine: Combine, activation: Activation) -> Self {
        match combine {
            Combine::Mean => Self::Mean(ProbabilityMean::new(activation)),
            Combine::Vote => Self::Vote(Votes::new(activation), activation),
        }
    }

    /// Adds one member's logits, `[K, X, Y, Z]`.
    ///
    /// **Errors**: a shape unlike the first member's, or a weight that is not finite and above 0.
    pub fn add(&mut self, mut logits: Array4<f32>, weight: f64) -> Result<(), MeanError> {
        match self {
            Self::Mean(mean) => mean.add(logits, weight),
            Self::Vote(votes, activation) => {
                activation.probabilities_in_place(logits.view_mut());
                votes.add(logits, weight)
            }
        }
    }

    /// Returns the mean probabilities, or the shares of the votes, `[K, X, Y, Z]`.
    ///
    /// **Errors**: no member was added.
    pub fn finish(self) -> Result<Array4<f32>, MeanError> {
        match self {
            Self::Mean(mean) => mean.finish(),
            Self::Vote(votes, _) => votes.finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn the_mean_and_the_vote_can_differ() {
        let members = [0.1f32, 0.1, -200.0].map(|first| array![[[[first]]], [[[0.0]]]]);
        for (combine, expected) in [(Combine::Mean, 0.35), (Combine::Vote, 2.0 / 3.0)] {
            let mut combination = Combination::new(combine, Activation::Softmax);
            for logits in &members {
                combination.add(logits.clone(), 1.0).unwrap();
            }
            let first = combination.finish().unwrap()[[0, 0, 0, 0]];
            assert!((first - expected).abs() < 1e-3, "{combine:?} gives {first}");
        }
    }
}
