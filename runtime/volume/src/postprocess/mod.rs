//! From logits to labels: softmax or sigmoid, the mean or the votes of an ensemble, argmax or regions.

mod activation;
mod combination;
mod input_grid;
mod labeling;
mod linear;
mod mean;
mod softmax;
mod vote;

pub use activation::Activation;
pub use combination::{Combination, Combine};
pub use input_grid::{InputGridEnsemble, InputGridError, InputGridMember};
pub use labeling::{LabelingError, argmax_labels, region_labels};
pub use linear::map_features;
pub use mean::{MeanError, ProbabilityMean};
pub use vote::Votes;
