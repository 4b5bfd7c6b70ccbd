//! Nonlinearities fused into normalizations.

/// The nonlinearity after a normalization, computed in the same pass.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Nonlinearity {
    /// `x`.
    Identity,
    /// `max(x, 0)`.
    Relu,
    /// `x` above 0, and this slope times `x` below.
    ///
    /// The derivative at 0 is the slope, as in PyTorch.
    LeakyRelu(f32),
}

impl Nonlinearity {
    /// Slope below 0, and at 0 that of the gradient.
    pub(crate) fn slope(self) -> f32 {
        match self {
            Self::Identity => 1.0,
            Self::Relu => 0.0,
            Self::LeakyRelu(slope) => slope,
        }
    }
}
