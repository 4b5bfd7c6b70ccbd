//! The operations a network is written in, and the interface of every segmentation network.

use burn::module::Module;
use burn::nn::conv::{Conv3d, ConvTranspose3d};
use burn::tensor::{Tensor, activation, backend::Backend};

use crate::blocks::InstanceNorm;

/// Interprets the layers of a network's forward pass.
///
/// [`Eager`] computes; the exporter's implementation records. Layers come as modules, so that an interpreter sees
/// both hyperparameters and weights.
pub trait NetworkOps<B: Backend> {
    /// What flows between layers: a tensor, or the name of one.
    type Value: Clone;

    /// Convolution, `[N, C, X, Y, Z]` → `[N, K, X', Y', Z']`.
    fn conv(&mut self, layer: &Conv3d<B>, x: Self::Value) -> Self::Value;

    /// Transposed convolution, `[N, C, X, Y, Z]` → `[N, K, X', Y', Z']`.
    fn conv_transpose(&mut self, layer: &ConvTranspose3d<B>, x: Self::Value) -> Self::Value;

    /// Instance normalization with a learned scale and bias per channel.
    fn instance_norm(&mut self, layer: &InstanceNorm<B>, x: Self::Value) -> Self::Value;

    /// `max(x, 0)`.
    fn relu(&mut self, x: Self::Value) -> Self::Value;

    /// Elementwise sum of equal shapes.
    fn add(&mut self, a: Self::Value, b: Self::Value) -> Self::Value;
}

/// Computes with Burn tensors as it goes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Eager;

impl<B: Backend> NetworkOps<B> for Eager {
    type Value = Tensor<B, 5>;

    fn conv(&mut self, layer: &Conv3d<B>, x: Tensor<B, 5>) -> Tensor<B, 5> {
        layer.forward(x)
    }

    fn conv_transpose(&mut self, layer: &ConvTranspose3d<B>, x: Tensor<B, 5>) -> Tensor<B, 5> {
        layer.forward(x)
    }

    fn instance_norm(&mut self, layer: &InstanceNorm<B>, x: Tensor<B, 5>) -> Tensor<B, 5> {
        layer.forward(x)
    }

    fn relu(&mut self, x: Tensor<B, 5>) -> Tensor<B, 5> {
        activation::relu(x)
    }

    fn add(&mut self, a: Tensor<B, 5>, b: Tensor<B, 5>) -> Tensor<B, 5> {
        a + b
    }
}

/// Which outputs of a network are wanted.
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

    /// What each spatial axis of the input must be a multiple of.
    fn shape_factor(&self) -> [usize; 3];

    /// Computes all deep supervision logits, finest first.
    ///
    /// **Shapes**: see [`run`](Self::run).
    fn forward_training(&self, input: Tensor<B, 5>) -> Vec<Tensor<B, 5>> {
        self.run(&mut Eager, input, Heads::All)
    }

    /// Computes the logits at input resolution.
    ///
    /// **Shapes**: `[N, C, X, Y, Z]` → `[N, K, X, Y, Z]`.
    fn forward(&self, input: Tensor<B, 5>) -> Tensor<B, 5> {
        let mut outputs = self.run(&mut Eager, input, Heads::Finest);
        outputs.swap_remove(0)
    }
}
