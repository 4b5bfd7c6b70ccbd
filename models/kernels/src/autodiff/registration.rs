//! Gradients of parents.

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::grads::Gradients;
use burn::tensor::backend::Backend;
use burn::tensor::ops::FloatTensor;

/// Adds a gradient to a parent that is tracked.
pub fn register<B: Backend>(
    gradients: &mut Gradients,
    parent: Option<NodeId>,
    compute: impl FnOnce() -> FloatTensor<B>,
) {
    if let Some(parent) = parent {
        gradients.register::<B>(parent, compute());
    }
}
