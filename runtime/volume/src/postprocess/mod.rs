//! From logits to labels: softmax or sigmoid, the mean over an ensemble, argmax or regions.

mod activation;
mod labeling;
mod mean;
mod softmax;

pub use activation::Activation;
pub use labeling::{LabelingError, argmax_labels, region_labels};
pub use mean::{MeanError, ProbabilityMean};
pub use softmax::softmax_in_place;
