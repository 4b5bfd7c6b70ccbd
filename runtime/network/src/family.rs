//! The interface of a family of networks.

use crate::error::{ArchitectureError, ConfigError, WindowSizeError};
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

    /// Divisor of each spatial axis of the input.
    fn shape_factor(&self) -> [usize; 3];

    /// Checks that the network can process windows of this size.
    ///
    /// **Errors**: [`WindowSizeError`] for the first axis that is no multiple of [`shape_factor`](Self::shape_factor), and
    /// where too few voxels are left on the deepest level.
    fn check_window(&self, window: [usize; 3]) -> Result<(), WindowSizeError> {
        check_multiples(window, self.shape_factor())
    }

    /// Whether the output of each plane along Z depends on that plane alone at inference. Windows of such networks need not
    /// overlap along Z.
    fn is_planar(&self) -> bool {
        false
    }

    /// Whether a tensor belongs to a last layer, whose outputs are classes.
    fn is_head(tensor: &str) -> bool;

    /// Whether a tensor is the weight of a convolution that reads the image, whose second axis is its channels.
    fn reads_image(tensor: &str) -> bool;

    /// Most values that one operation on a window rearranges by indices, which a file of the network holds.
    fn most_indices(&self, _window: [usize; 3]) -> usize {
        0
    }

    /// Path and shape of every tensor of the network with hyperparameters in range, running statistics included.
    fn tensors(&self) -> Vec<(String, Vec<usize>)>;

    /// Number of parameters.
    fn parameters(&self) -> u64;

    /// Tensors that a training step on a patch of this size holds.
    fn activations(&self, patch: [usize; 3]) -> Activations;

    /// Whether a state dict has the tensors that distinguish this family from the others.
    fn recognizes(shapes: &Shapes<'_>) -> bool;

    /// Infers the hyperparameters from the shapes of a state dict, as far as the network depends on them.
    ///
    /// An inferred network is not much larger than its tensors, because every block is checked.
    ///
    /// **Errors**: [`ArchitectureError`].
    fn infer(shapes: &Shapes<'_>) -> Result<Self, ArchitectureError>;

    /// Hyperparameters inferred from the shapes of a state dict, by name: configurations with the same values have the
    /// same tensors.
    fn facts(&self) -> Vec<(&'static str, String)>;

    /// Facts of the network that a state dict belongs to. What shapes do not tell is taken to be as described here.
    ///
    /// **Errors**: as [`infer`](Self::infer).
    fn facts_of(
        &self,
        shapes: &Shapes<'_>,
    ) -> Result<Vec<(&'static str, String)>, ArchitectureError> {
        Ok(Self::infer(shapes)?.facts())
    }
}

/// Checks that every axis of a window is a multiple.
pub(crate) fn check_multiples(
    window: [usize; 3],
    factors: [usize; 3],
) -> Result<(), WindowSizeError> {
    let axis = (0..3).find(|&axis| {
        let (found, factor) = (window[axis], factors[axis]);
        found == 0 || !found.is_multiple_of(factor)
    });
    axis.map_or(Ok(()), |axis| {
        Err(WindowSizeError::Multiple {
            axis,
            found: window[axis],
            factor: factors[axis],
        })
    })
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
