//! Hyperparameters of batch normalization.

/// Hyperparameters of a batch normalization.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BatchNormSettings {
    /// Added to the variance.
    pub epsilon: f32,
    /// Share of a batch in the running statistics.
    pub momentum: f32,
}

/// Factor from the population variance of this many values to the sample variance: `n / (n - 1)`; 1 for a single value,
/// whose sample variance is not defined.
pub fn bessel_correction(values: usize) -> f32 {
    values as f32 / values.saturating_sub(1).max(1) as f32
}
