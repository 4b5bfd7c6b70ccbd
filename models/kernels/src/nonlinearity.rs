//! Nonlinearities fused into normalizations.

/// The nonlinearity after a normalization, computed in the same pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Nonlinearity {
    /// `x`.
    Identity,
    /// `max(x, 0)`.
    Relu,
}

impl Nonlinearity {
    /// Least output.
    pub(crate) fn floor(self) -> f32 {
        match self {
            Self::Identity => f32::NEG_INFINITY,
            Self::Relu => 0.0,
        }
    }
}
