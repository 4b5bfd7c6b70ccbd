//! The interface of every segmentation network.

use burn::module::Module;
use burn::tensor::{Tensor, backend::Backend};
use vesal_kernels::DifferentiableOps;

use crate::ops::{Eager, EagerValue, NetworkOps};

/// The requested outputs of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heads {
    /// The one at input resolution: inference.
    Finest,
    /// All deep supervision outputs, finest first: training.
    All,
}

/// A network that maps a patch to logits of the same spatial shape.
pub trait SegmentationNetwork<B: Backend>: Module<B> {
    /// Interprets the forward pass with `ops`.
    ///
    /// **Shapes**: `[N, C, X, Y, Z]` → logits `[N, K, X, Y, Z]`, then for [`Heads::All`] the coarser ones, each
    /// smaller by that level's stride. X, Y, Z are multiples of [`shape_factor`](Self::shape_factor).
    fn run<O: NetworkOps<B>>(&self, ops: &mut O, input: O::Value, heads: Heads) -> Vec<O::Value>;

    /// Divisor of each spatial axis of the input.
    fn shape_factor(&self) -> [usize; 3];

    /// Computes all deep supervision logits, finest first.
    ///
    /// **Shapes**: `[N, C, X, Y, Z]` → channels last, `[N, X, Y, Z, K]`, see [`run`](Self::run).
    fn forward_training(&self, input: Tensor<B, 5>) -> Vec<Tensor<B, 5>>
    where
        B: DifferentiableOps,
    {
        let mut ops = Eager::new(&input.device());
        let outputs = self.run(&mut ops, EagerValue::volume(input), Heads::All);
        let outputs = outputs.into_iter();
        outputs.map(EagerValue::into_channels_last).collect()
    }

    /// Computes the logits at input resolution.
    ///
    /// **Shapes**: `[N, C, X, Y, Z]` → `[N, K, X, Y, Z]`.
    fn forward(&self, input: Tensor<B, 5>) -> Tensor<B, 5>
    where
        B: DifferentiableOps,
    {
        let mut ops = Eager::new(&input.device());
        let mut outputs = self.run(&mut ops, EagerValue::volume(input), Heads::Finest);
        outputs.swap_remove(0).into_tensor()
    }
}
