//! Precision of a network's computation.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// `f32` throughout.
    Single,
    /// Activations in `f16`; weights, statistics and updates in `f32`; the loss scaled.
    Mixed,
}
