//! The operations of networks and losses.

use burn::tensor::backend::Backend;
use burn::tensor::ops::{FloatTensor, IntTensor};
use burn::tensor::{Int, Tensor};

use crate::batch_norm::BatchNormSettings;
use crate::float_tensors::{primitive, tensor};
use crate::geometry::ConvGeometry;
use crate::nonlinearity::Nonlinearity;
use crate::results::BatchNormalized;
use crate::row_gather::RowGather;

/// The operations of networks on any backend; an autodiff backend records their gradients.
///
/// Called through the functions of this crate: [`conv`], [`conv_transpose`], [`instance_norm`], [`batch_norm`],
/// [`leaky_relu`], [`add_leaky_relu`], [`dice_ce`], [`dice_focal`], and those of transformers.
pub trait DifferentiableOps: Backend {
    /// See [`conv`].
    fn layer_conv(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: Option<FloatTensor<Self>>,
        geometry: ConvGeometry,
    ) -> FloatTensor<Self>;

    /// See [`conv_transpose`].
    fn layer_conv_transpose(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        output_shape: [usize; 3],
        geometry: ConvGeometry,
    ) -> FloatTensor<Self>;

    /// See [`instance_norm`].
    fn layer_instance_norm(
        x: FloatTensor<Self>,
        affine: Option<[FloatTensor<Self>; 2]>,
        epsilon: f32,
        nonlinearity: Nonlinearity,
    ) -> FloatTensor<Self>;

    /// See [`batch_norm`].
    fn layer_batch_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        running: [FloatTensor<Self>; 2],
        settings: BatchNormSettings,
        nonlinearity: Nonlinearity,
    ) -> BatchNormalized<Self>;

    /// Leaky ReLU of tensors of any shape, see [`leaky_relu`] and [`add_leaky_relu`].
    fn layer_leaky_relu(
        x: FloatTensor<Self>,
        addend: Option<FloatTensor<Self>>,
        slope: f32,
    ) -> FloatTensor<Self>;

    /// See [`resize_linear`](crate::resize_linear).
    fn layer_resize_linear(x: FloatTensor<Self>, space: [usize; 3]) -> FloatTensor<Self>;

    /// See [`dice_ce`].
    fn layer_dice_ce(logits: FloatTensor<Self>, classes: IntTensor<Self>) -> FloatTensor<Self>;

    /// See [`dice_focal`].
    fn layer_dice_focal(logits: FloatTensor<Self>, classes: IntTensor<Self>) -> FloatTensor<Self>;

    /// See [`linear`](crate::linear).
    fn layer_linear(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: Option<FloatTensor<Self>>,
    ) -> FloatTensor<Self>;

    /// See [`window_attention`](crate::window_attention).
    fn layer_window_attention(
        qkv: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        regions: Option<IntTensor<Self>>,
    ) -> FloatTensor<Self>;

    /// See [`layer_norm`](crate::layer_norm); of any rank, with weight and bias.
    fn layer_layer_norm(
        x: FloatTensor<Self>,
        affine: Option<[FloatTensor<Self>; 2]>,
        epsilon: f32,
    ) -> FloatTensor<Self>;

    /// See [`gelu`](crate::gelu).
    fn layer_gelu(x: FloatTensor<Self>) -> FloatTensor<Self>;

    /// See [`gather_rows`](crate::gather_rows).
    fn layer_gather_rows(
        x: FloatTensor<Self>,
        gather: &RowGather<IntTensor<Self>>,
    ) -> FloatTensor<Self>;
}

/// Convolution plus bias.
///
/// **Shapes**: `x` `[N, X, Y, Z, C]`, `weight` `[K, C, kX, kY, kZ]`, `bias` `[K]` → `[N, X', Y', Z', K]`.
pub fn conv<B: DifferentiableOps>(
    x: Tensor<B, 5>,
    weight: Tensor<B, 5>,
    bias: Option<Tensor<B, 1>>,
    geometry: ConvGeometry,
) -> Tensor<B, 5> {
    let bias = bias.map(primitive);
    tensor(B::layer_conv(
        primitive(x),
        primitive(weight),
        bias,
        geometry,
    ))
}

/// Transposed convolution: the gradient of a convolution of this geometry from `K` to `C` channels.
///
/// **Shapes**: `x` `[N, X, Y, Z, K]`, `weight` `[K, C, kX, kY, kZ]` → `[N, output_shape, C]`.
pub fn conv_transpose<B: DifferentiableOps>(
    x: Tensor<B, 5>,
    weight: Tensor<B, 5>,
    output_shape: [usize; 3],
    geometry: ConvGeometry,
) -> Tensor<B, 5> {
    tensor(B::layer_conv_transpose(
        primitive(x),
        primitive(weight),
        output_shape,
        geometry,
    ))
}

/// Normalizes each channel of each case over space, scales and shifts it, then applies the nonlinearity.
///
/// **Shapes**: `x` `[N, X, Y, Z, C]`, `affine` weight and bias, `[C]` each → as `x`.
///
/// **Definition**: `(x - mean) / sqrt(var + epsilon) · weight + bias`, population variance; weight 1 and bias 0 where
/// there are none.
pub fn instance_norm<B: DifferentiableOps>(
    x: Tensor<B, 5>,
    affine: Option<[Tensor<B, 1>; 2]>,
    epsilon: f32,
    nonlinearity: Nonlinearity,
) -> Tensor<B, 5> {
    let affine = affine.map(|affine| affine.map(primitive));
    tensor(B::layer_instance_norm(
        primitive(x),
        affine,
        epsilon,
        nonlinearity,
    ))
}

/// `x` above 0, and `slope` times `x` below.
///
/// **Definition**: the gradient at 0 is that below, as in PyTorch.
///
/// # Panics
///
/// If `slope` is negative, because the gradient knows the sign of `x` only from the result.
pub fn leaky_relu<B: DifferentiableOps, const D: usize>(
    x: Tensor<B, D>,
    slope: f32,
) -> Tensor<B, D> {
    tensor(B::layer_leaky_relu(primitive(x), None, slope))
}

/// [`leaky_relu`] of a sum of two tensors of one shape, in one pass.
pub fn add_leaky_relu<B: DifferentiableOps, const D: usize>(
    x: Tensor<B, D>,
    addend: Tensor<B, D>,
    slope: f32,
) -> Tensor<B, D> {
    let addend = Some(primitive(addend));
    tensor(B::layer_leaky_relu(primitive(x), addend, slope))
}

/// Normalizes each channel over all cases and space, scales and shifts it, then applies the nonlinearity; also returns
/// the updated running mean and variance.
///
/// An autodiff backend, which trains, normalizes by the statistics of the batch and updates the running ones; the
/// gradient flows through the batch statistics only. Any other backend normalizes by the running statistics and leaves
/// them as they are.
///
/// **Shapes**: `x` `[N, X, Y, Z, C]`, `weight`, `bias` and `running` `[C]` → as `x` and `running`.
///
/// **Definition**: `(x - mean) / sqrt(var + epsilon) · weight + bias`, with the population variance of a batch;
/// `running ← (1 - momentum) running + momentum batch`, with its sample variance.
///
/// **Source**: Ioffe & Szegedy 2015, algorithms 1 and 2; PyTorch `BatchNorm3d`.
pub fn batch_norm<B: DifferentiableOps>(
    x: Tensor<B, 5>,
    weight: Tensor<B, 1>,
    bias: Tensor<B, 1>,
    running: [Tensor<B, 1>; 2],
    settings: BatchNormSettings,
    nonlinearity: Nonlinearity,
) -> (Tensor<B, 5>, [Tensor<B, 1>; 2]) {
    let normalized = B::layer_batch_norm(
        primitive(x),
        primitive(weight),
        primitive(bias),
        running.map(primitive),
        settings,
        nonlinearity,
    );
    (tensor(normalized.output), normalized.running.map(tensor))
}

/// Dice loss plus cross entropy of logits against class indices, `[1]`, `f32`.
///
/// **Shapes**: `logits` `[N, X, Y, Z, K]`; `classes` `[N, X', Y', Z']` in `0..K`. Classes on a finer grid are taken at
/// the center of each coarse voxel: output `i` of `m` takes input `floor((i + 0.5) n / m)` of `n`.
///
/// **Definition**: with `p = softmax(logits)` and the one-hot truth `g`, the mean over cases and classes, background
/// included, of `1 - 2 Σ p g / (Σ p² + Σ g² + 1e-5)`, sums running over voxels; plus the mean over voxels of
/// `-log p` of the true class.
///
/// **Source**: MONAI 1.6.1 `DiceCELoss(softmax=True, squared_pred=True, smooth_nr=0, smooth_dr=1e-5)`; PyTorch
/// `interpolate(mode="nearest-exact")`.
pub fn dice_ce<B: DifferentiableOps>(
    logits: Tensor<B, 5>,
    classes: Tensor<B, 4, Int>,
) -> Tensor<B, 1> {
    tensor(B::layer_dice_ce(
        primitive(logits),
        classes.into_primitive(),
    ))
}

/// Dice loss plus focal loss of logits against class indices, `[1]`, `f32`.
///
/// **Shapes**: as [`dice_ce`].
///
/// **Definition**: with `p = softmax(logits)` and the one-hot truth `g`, the mean over cases and classes, background
/// included, of `1 - (2 Σ p g + 1e-5) / (Σ p² + Σ g² + 1e-5)`, sums running over voxels; plus the mean over cases, classes
/// and voxels of `-(1 - q)² log q`, where `q` is the sigmoid of a logit where its class is the true one, and 1 less that
/// elsewhere.
///
/// **Source**: MONAI 1.6.1 `DiceFocalLoss(softmax=True, squared_pred=True, smooth_nr=1e-5, smooth_dr=1e-5)`, whose focal
/// loss takes the sigmoid of logits also where the Dice loss takes their softmax.
pub fn dice_focal<B: DifferentiableOps>(
    logits: Tensor<B, 5>,
    classes: Tensor<B, 4, Int>,
) -> Tensor<B, 1> {
    tensor(B::layer_dice_focal(
        primitive(logits),
        classes.into_primitive(),
    ))
}
