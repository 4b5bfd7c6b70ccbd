//! The operations a network is written in, and the interface of every segmentation network.

use burn::module::Module;
use burn::nn::PaddingConfig3d;
use burn::nn::conv::{Conv3d, ConvTranspose3d};
use burn::tensor::{Tensor, activation, backend::Backend};
use vesal_kernels::{ConvGeometry, DifferentiableOps, Nonlinearity};

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

    /// Instance normalization, then `max(·, 0)`.
    fn norm_relu(&mut self, layer: &InstanceNorm<B>, x: Self::Value) -> Self::Value {
        let x = self.instance_norm(layer, x);
        self.relu(x)
    }

    /// Elementwise sum of equal shapes.
    fn add(&mut self, a: Self::Value, b: Self::Value) -> Self::Value;
}

/// Computes with the kernels of a backend as it goes.
///
/// Values are channels last, `[N, X, Y, Z, C]`: what kernels compute on. Convolutions with dilation, groups or implicit
/// padding are Burn's own.
#[derive(Debug, Clone, Copy, Default)]
pub struct Eager;

impl<B: DifferentiableOps> NetworkOps<B> for Eager {
    type Value = Tensor<B, 5>;

    fn conv(&mut self, layer: &Conv3d<B>, x: Tensor<B, 5>) -> Tensor<B, 5> {
        let padding = match layer.padding {
            PaddingConfig3d::Explicit(x, y, z) => Some([x, y, z]),
            PaddingConfig3d::Valid => Some([0; 3]),
            PaddingConfig3d::Same => None,
        };
        let plain = layer.dilation == [1; 3] && layer.groups == 1;
        let Some(padding) = padding.filter(|_| plain) else {
            return channels_last(layer.forward(channels_first(x)));
        };
        let geometry = ConvGeometry {
            kernel: layer.kernel_size,
            stride: layer.stride,
            padding,
        };
        let bias = layer.bias.as_ref().map(|bias| bias.val());
        vesal_kernels::conv(x, layer.weight.val(), bias, geometry)
    }

    fn conv_transpose(&mut self, layer: &ConvTranspose3d<B>, x: Tensor<B, 5>) -> Tensor<B, 5> {
        let plain = layer.dilation == [1; 3] && layer.groups == 1 && layer.bias.is_none();
        if !plain {
            return channels_last(layer.forward(channels_first(x)));
        }
        let geometry = ConvGeometry {
            kernel: layer.kernel_size,
            stride: layer.stride,
            padding: layer.padding,
        };
        let [_, sx, sy, sz, _] = x.dims();
        let shape = geometry.transposed_shape([sx, sy, sz], layer.padding_out);
        vesal_kernels::conv_transpose(x, layer.weight.val(), shape, geometry)
    }

    fn instance_norm(&mut self, layer: &InstanceNorm<B>, x: Tensor<B, 5>) -> Tensor<B, 5> {
        layer.forward(x, Nonlinearity::Identity)
    }

    fn relu(&mut self, x: Tensor<B, 5>) -> Tensor<B, 5> {
        activation::relu(x)
    }

    fn norm_relu(&mut self, layer: &InstanceNorm<B>, x: Tensor<B, 5>) -> Tensor<B, 5> {
        layer.forward(x, Nonlinearity::Relu)
    }

    fn add(&mut self, a: Tensor<B, 5>, b: Tensor<B, 5>) -> Tensor<B, 5> {
        a + b
    }
}

/// `[N, X, Y, Z, C]` → `[N, C, X, Y, Z]`, a view.
fn channels_first<B: Backend>(x: Tensor<B, 5>) -> Tensor<B, 5> {
    x.permute([0, 4, 1, 2, 3])
}

/// `[N, C, X, Y, Z]` → `[N, X, Y, Z, C]`, a view.
fn channels_last<B: Backend>(x: Tensor<B, 5>) -> Tensor<B, 5> {
    x.permute([0, 2, 3, 4, 1])
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
    /// **Shapes**: `[N, C, X, Y, Z]` → channels last, `[N, X, Y, Z, K]`, see [`run`](Self::run).
    fn forward_training(&self, input: Tensor<B, 5>) -> Vec<Tensor<B, 5>>
    where
        B: DifferentiableOps,
    {
        self.run(&mut Eager, channels_last(input), Heads::All)
    }

    /// Computes the logits at input resolution.
    ///
    /// **Shapes**: `[N, C, X, Y, Z]` → `[N, K, X, Y, Z]`.
    fn forward(&self, input: Tensor<B, 5>) -> Tensor<B, 5>
    where
        B: DifferentiableOps,
    {
        let mut outputs = self.run(&mut Eager, channels_last(input), Heads::Finest);
        channels_first(outputs.swap_remove(0))
    }
}
