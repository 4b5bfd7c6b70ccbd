//! From logits to labels: softmax, the mean or the votes of an ensemble, argmax.

mod argmax;
mod combination;
mod mean;
mod softmax;
mod vote;

pub use argmax::{ArgmaxError, argmax_labels};
pub use combination::{Combination, Combine};
pub use mean::{MeanError, ProbabilityMean};
pub use softmax::softmax_in_place;
pub use vote::{Ballot, Votes};
