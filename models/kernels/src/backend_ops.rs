//! The operations of training on a backend without autodiff.

use burn::tensor::TensorMetadata;
use burn::tensor::backend::Backend;
use burn::tensor::ops::{FloatTensor, IntTensor};

use crate::batch_norm::BatchNormSettings;
use crate::geometry::ConvGeometry;
use crate::nonlinearity::Nonlinearity;
use crate::optimizer::{AdamWStep, Moments, SgdStep, Velocity};
use crate::reference;
use crate::results::{Attended, AttentionGradients, NormGradients, Normalized, Scalars, VoxelLoss};
use crate::row_gather::RowGather;

/// The operations of training on a backend without autodiff, with their gradients.
///
/// Defaults use Burn's own operations. All tensors are dense and row-major where an implementation makes them; inputs
/// may have any strides.
pub trait BackendOps: Backend {
    /// Convolution plus bias.
    ///
    /// **Shapes**: `x` `[N, X, Y, Z, C]`, `weight` `[K, C, kX, kY, kZ]`, `bias` `[K]` → `[N, X', Y', Z', K]`.
    fn conv(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: Option<FloatTensor<Self>>,
        geometry: ConvGeometry,
    ) -> FloatTensor<Self> {
        reference::conv::<Self>(x, weight, bias, geometry)
    }

    /// Gradient of a convolution with respect to its input, which is also the transposed convolution.
    ///
    /// **Shapes**: `gradient` `[N, X', Y', Z', K]`, `weight` `[K, C, kX, kY, kZ]` → `[N, input_shape, C]`.
    fn conv_input_gradient(
        gradient: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        input_shape: [usize; 3],
        geometry: ConvGeometry,
    ) -> FloatTensor<Self> {
        reference::conv_input_gradient::<Self>(gradient, weight, input_shape, geometry)
    }

    /// Gradient of a convolution with respect to its weights.
    ///
    /// **Shapes**: `x` `[N, X, Y, Z, C]`, `gradient` `[N, X', Y', Z', K]` → `[K, C, kX, kY, kZ]`, `f32`.
    fn conv_weight_gradient(
        x: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        geometry: ConvGeometry,
    ) -> FloatTensor<Self> {
        reference::conv_weight_gradient::<Self>(x, gradient, geometry)
    }

    /// Gradient with respect to a bias.
    ///
    /// **Shapes**: `[N, X, Y, Z, K]` → `[K]`, `f32`.
    fn bias_gradient(gradient: FloatTensor<Self>) -> FloatTensor<Self> {
        reference::bias_gradient::<Self>(gradient)
    }

    /// Instance normalization, then the nonlinearity.
    ///
    /// **Shapes**: `x` `[N, X, Y, Z, C]`, `affine` weight and bias, `[C]` each; 1 and 0 where there are none.
    fn instance_norm(
        x: FloatTensor<Self>,
        affine: Option<[FloatTensor<Self>; 2]>,
        epsilon: f32,
        nonlinearity: Nonlinearity,
    ) -> Normalized<Self> {
        reference::instance_norm::<Self>(x, affine, epsilon, nonlinearity)
    }

    /// Gradients of [`instance_norm`](Self::instance_norm), from its input and statistics.
    fn instance_norm_gradient(
        x: FloatTensor<Self>,
        statistics: FloatTensor<Self>,
        affine: Option<[FloatTensor<Self>; 2]>,
        gradient: FloatTensor<Self>,
        nonlinearity: Nonlinearity,
    ) -> NormGradients<Self> {
        reference::instance_norm_gradient::<Self>(x, statistics, affine, gradient, nonlinearity)
    }

    /// Leaky ReLU of a tensor, or of its sum with another, of any shape.
    ///
    /// **Definition**: see [`leaky_relu`](crate::leaky_relu()).
    fn leaky_relu_sum(
        x: FloatTensor<Self>,
        addend: Option<FloatTensor<Self>>,
        slope: f32,
    ) -> FloatTensor<Self> {
        reference::leaky_relu_sum::<Self>(x, addend, slope)
    }

    /// Gradient of [`leaky_relu_sum`](Self::leaky_relu_sum) with respect to each summand, from its output.
    fn leaky_relu_gradient(
        output: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        slope: f32,
    ) -> FloatTensor<Self> {
        reference::leaky_relu_gradient::<Self>(output, gradient, slope)
    }

    /// Batch normalization by the statistics of this batch, then the nonlinearity.
    ///
    /// **Shapes**: `x` `[N, X, Y, Z, C]`, `weight` and `bias` `[C]`; statistics `[1, 2, C]`.
    ///
    /// **Definition**: instance normalization of all cases as one.
    fn batch_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f32,
        nonlinearity: Nonlinearity,
    ) -> Normalized<Self> {
        let shape = x.shape();
        let x = reference::join_cases::<Self>(x);
        let Normalized { output, statistics } =
            Self::instance_norm(x, Some([weight, bias]), epsilon, nonlinearity);
        Normalized {
            output: Self::float_reshape(output, shape),
            statistics,
        }
    }

    /// Gradients of [`batch_norm`](Self::batch_norm), from its input and statistics.
    fn batch_norm_gradient(
        x: FloatTensor<Self>,
        statistics: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        nonlinearity: Nonlinearity,
    ) -> NormGradients<Self> {
        let shape = x.shape();
        let [x, gradient] = [x, gradient].map(reference::join_cases::<Self>);
        let gradients = Self::instance_norm_gradient(
            x,
            statistics,
            Some([weight, bias]),
            gradient,
            nonlinearity,
        );
        NormGradients {
            input: Self::float_reshape(gradients.input, shape),
            ..gradients
        }
    }

    /// Running mean and variance after a batch of this many values per channel.
    ///
    /// **Shapes**: `running` `[C]` each, `statistics` as of [`batch_norm`](Self::batch_norm) with the same epsilon.
    ///
    /// **Definition**: `(1 - momentum) r + momentum s`, where the batch's variance is the sample variance (divided by
    /// `values - 1`); 0 for a single value.
    ///
    /// **Source**: PyTorch `BatchNorm3d`, which refuses single values.
    fn update_running(
        running: [FloatTensor<Self>; 2],
        statistics: FloatTensor<Self>,
        values: usize,
        settings: BatchNormSettings,
    ) -> [FloatTensor<Self>; 2] {
        reference::update_running::<Self>(running, statistics, values, settings)
    }

    /// Batch normalization by running mean and variance, then the nonlinearity.
    ///
    /// **Shapes**: `x` `[N, X, Y, Z, C]`, all others `[C]`.
    fn batch_norm_inference(
        x: FloatTensor<Self>,
        running: [FloatTensor<Self>; 2],
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f32,
        nonlinearity: Nonlinearity,
    ) -> FloatTensor<Self> {
        reference::batch_norm_inference::<Self>(x, running, weight, bias, epsilon, nonlinearity)
    }

    /// Dice plus cross entropy of logits against class indices.
    ///
    /// **Shapes**: `logits` `[N, X, Y, Z, K]`; `classes` `[N, X', Y', Z']` in `0..K`, of the same shape or finer.
    ///
    /// **Definition**: see [`dice_ce`](crate::dice_ce()).
    fn dice_ce(logits: FloatTensor<Self>, classes: IntTensor<Self>) -> VoxelLoss<Self> {
        reference::dice_ce::<Self>(logits, classes)
    }

    /// Gradient of [`dice_ce`](Self::dice_ce) with respect to the logits, times `gradient` `[1]`.
    fn dice_ce_gradient(
        logits: FloatTensor<Self>,
        classes: IntTensor<Self>,
        sums: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        reference::dice_ce_gradient::<Self>(logits, classes, sums, gradient)
    }

    /// Dice plus focal loss of logits against class indices.
    ///
    /// **Shapes**: as of [`dice_ce`](Self::dice_ce).
    ///
    /// **Definition**: see [`dice_focal`](crate::dice_focal()).
    fn dice_focal(logits: FloatTensor<Self>, classes: IntTensor<Self>) -> VoxelLoss<Self> {
        reference::dice_focal::<Self>(logits, classes)
    }

    /// Gradient of [`dice_focal`](Self::dice_focal) with respect to the logits, times `gradient` `[1]`.
    fn dice_focal_gradient(
        logits: FloatTensor<Self>,
        classes: IntTensor<Self>,
        sums: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        reference::dice_focal_gradient::<Self>(logits, classes, sums, gradient)
    }

    /// Linear resizing of volumes, see [`resize_linear`](crate::resize_linear).
    fn resize_linear(x: FloatTensor<Self>, space: [usize; 3]) -> FloatTensor<Self> {
        reference::resize_linear::<Self>(x, space)
    }

    /// Gradient of [`resize_linear`](Self::resize_linear) with respect to its input of this shape.
    fn resize_linear_gradient(
        gradient: FloatTensor<Self>,
        input_shape: [usize; 3],
    ) -> FloatTensor<Self> {
        reference::resize_linear_gradient::<Self>(gradient, input_shape)
    }

    /// Linear map of rows.
    ///
    /// **Shapes**: `x` `[rows, C]`, `weight` `[K, C]`, `bias` `[K]` → `[rows, K]`.
    fn linear(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: Option<FloatTensor<Self>>,
    ) -> FloatTensor<Self> {
        reference::linear::<Self>(x, weight, bias)
    }

    /// Gradient of [`linear`](Self::linear) with respect to its input.
    ///
    /// **Shapes**: `gradient` `[rows, K]`, `weight` `[K, C]` → `[rows, C]`.
    fn linear_input_gradient(
        gradient: FloatTensor<Self>,
        weight: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        reference::linear_input_gradient::<Self>(gradient, weight)
    }

    /// Gradient of [`linear`](Self::linear) with respect to its weights.
    ///
    /// **Shapes**: `x` `[rows, C]`, `gradient` `[rows, K]` → `[K, C]`, `f32`.
    fn linear_weight_gradient(
        x: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        reference::linear_weight_gradient::<Self>(x, gradient)
    }

    /// Attention within windows.
    ///
    /// **Shapes, definition**: see [`window_attention`](crate::window_attention()).
    fn window_attention(
        qkv: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        regions: Option<IntTensor<Self>>,
    ) -> Attended<Self> {
        reference::window_attention::<Self>(qkv, bias, regions)
    }

    /// Gradients of [`window_attention`](Self::window_attention), from its inputs and result.
    fn window_attention_gradient(
        qkv: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        regions: Option<IntTensor<Self>>,
        attended: Attended<Self>,
        gradient: FloatTensor<Self>,
    ) -> AttentionGradients<Self> {
        reference::window_attention_gradient::<Self>(qkv, bias, regions, attended, gradient)
    }

    /// Normalizes the last axis, then scales and shifts it by weight and bias, where given.
    ///
    /// **Shapes**: `x` `[.., C]`, `affine` `[C]` each.
    ///
    /// **Definition**: see [`layer_norm`](crate::layer_norm()).
    fn layer_norm(
        x: FloatTensor<Self>,
        affine: Option<[FloatTensor<Self>; 2]>,
        epsilon: f32,
    ) -> FloatTensor<Self> {
        reference::layer_norm::<Self>(x, affine, epsilon)
    }

    /// Gradients of [`layer_norm`](Self::layer_norm) with respect to its input, and to weight and bias where `weight` is
    /// given; from the input alone.
    fn layer_norm_gradient(
        x: FloatTensor<Self>,
        weight: Option<FloatTensor<Self>>,
        gradient: FloatTensor<Self>,
        epsilon: f32,
    ) -> NormGradients<Self> {
        reference::layer_norm_gradient::<Self>(x, weight, gradient, epsilon)
    }

    /// `x / 2 (1 + erf(x / √2))`.
    fn gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        reference::gelu::<Self>(x)
    }

    /// Gradient of [`gelu`](Self::gelu), from its input.
    fn gelu_gradient(x: FloatTensor<Self>, gradient: FloatTensor<Self>) -> FloatTensor<Self> {
        reference::gelu_gradient::<Self>(x, gradient)
    }

    /// The rows at constant indices.
    ///
    /// **Shapes**: `x` `[N, rows, C]` → `[N, outputs, C]`.
    fn gather_rows(x: FloatTensor<Self>, gather: &RowGather<IntTensor<Self>>) -> FloatTensor<Self> {
        reference::gather_rows::<Self>(x, gather)
    }

    /// Gradient of [`gather_rows`](Self::gather_rows): of each row the sum over its readers, in their order.
    ///
    /// **Shapes**: `gradient` `[N, outputs, C]` → `[N, rows, C]`.
    fn gather_rows_gradient(
        gradient: FloatTensor<Self>,
        gather: &RowGather<IntTensor<Self>>,
    ) -> FloatTensor<Self> {
        reference::gather_rows_gradient::<Self>(gradient, gather)
    }

    /// Sum of squares over all tensors, `[1]`, `f32`; not finite if any value is not.
    fn squared_norm(tensors: &[FloatTensor<Self>]) -> FloatTensor<Self> {
        reference::squared_norm::<Self>(tensors)
    }

    /// Requests the values of tensors of one element each, in order.
    fn read_scalars(tensors: Vec<FloatTensor<Self>>) -> Scalars {
        reference::read_scalars::<Self>(tensors)
    }

    /// Updates parameters by one step, in place where no other handle shares them; the gradients are consumed.
    ///
    /// With a `guard` `[1]`, the [`squared_norm`](Self::squared_norm) of the gradients, nothing changes unless it is
    /// finite, and the norm can be limited.
    fn adamw(
        parameters: Vec<Moments<Self>>,
        step: AdamWStep,
        guard: Option<FloatTensor<Self>>,
    ) -> Vec<[FloatTensor<Self>; 3]> {
        reference::adamw::<Self>(parameters, step, guard)
    }

    /// Updates parameters by one step, as [`adamw`](Self::adamw) does, and returns weights and velocity of each.
    fn sgd(
        parameters: Vec<Velocity<Self>>,
        step: SgdStep,
        guard: Option<FloatTensor<Self>>,
    ) -> Vec<[FloatTensor<Self>; 2]> {
        reference::sgd::<Self>(parameters, step, guard)
    }
}
