//! From logits to labels: softmax, the mean over an ensemble, argmax.

mod argmax;
mod mean;
mod softmax;

pub use argmax::{ArgmaxError, argmax_labels};
pub use mean::{MeanError, ProbabilityMean};
pub use softmax::softmax_in_place;
