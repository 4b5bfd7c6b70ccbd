//! Deviations of networks' answers from the recorded ones.

/// An intact bundle whose results deviate on this machine.
#[derive(Debug, thiserror::Error)]
#[error("its networks answer the probe on `{device}` with other values than were recorded")]
pub struct Deviation {
    pub device: String,
    #[source]
    pub worst: Worst,
}

/// The deviations from the recorded answers.
#[derive(Debug, thiserror::Error)]
#[error(
    "logits differ by up to {difference:.3e} where {tolerated:.3e} is tolerated, {identical:.4} of the labels are \
     identical where {required:.4} are required"
)]
pub struct Worst {
    /// Largest difference of a logit.
    pub difference: f64,
    pub tolerated: f64,
    /// Fraction of labels that are identical.
    pub identical: f64,
    pub required: f64,
}
