//! What a family of networks tells of a configuration.

use crate::error::{ArchitectureError, ConfigError};
use crate::shapes::Shapes;

/// A family of networks: hyperparameters, and what follows from them.
pub trait Family: Sized {
    /// Name of the family in messages.
    const NAME: &'static str;

    /// Checks the hyperparameters.
    ///
    /// **Errors**: [`ConfigError`] names the first field that is out of range.
    fn validate(&self) -> Result<(), ConfigError>;

    fn in_channels(&self) -> usize;

    fn out_channels(&self) -> usize;

    /// What each spatial axis of the input must be a multiple of.
    fn shape_factor(&self) -> [usize; 3];

    fn parameters(&self) -> u64;

    /// What a training step on a patch of this size holds.
    fn activations(&self, patch: [usize; 3]) -> Activations;

    /// Whether a state dict has the tensors that tell this family from the others.
    fn recognizes(shapes: &Shapes<'_>) -> bool;

    /// Infers the hyperparameters from the shapes of a state dict, as far as the network depends on them.
    ///
    /// A network so inferred is not much larger than its tensors: whatever decides about its size is looked at in
    /// every block.
    ///
    /// **Errors**: [`ArchitectureError`].
    fn infer(shapes: &Shapes<'_>) -> Result<Self, ArchitectureError>;

    /// What the shapes of a state dict tell about the network, by name of the hyperparameter: configurations with the same
    /// facts have the same tensors.
    fn facts(&self) -> Vec<(&'static str, String)>;
}

/// Tensors that a network's training step holds for one patch, in elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Activations {
    /// Everything that the forward pass keeps for gradients, logits aside.
    pub kept: u64,
    /// The largest activation.
    pub largest: u64,
    /// Logits of all deep supervision outputs.
    pub logits: u64,
    /// Logits at input resolution.
    pub finest_logits: u64,
}
