//! The operations of networks and losses.

use burn::tensor::backend::Backend;
use burn::tensor::ops::{FloatTensor, IntTensor};
use burn::tensor::{Int, Tensor, TensorPrimitive};

use crate::batch_norm::BatchNormSettings;
use crate::geometry::ConvGeometry;
use crate::nonlinearity::Nonlinearity;
use crate::results::BatchNormalized;
use crate::row_gather::RowGather;

/// The operations of networks on any backend; an autodiff backend records their gradients.
///
/// Called through the functions of this crate: [`conv`], [`conv_transpose`], [`instance_norm`], [`batch_norm`],
/// [`dice_ce`], and those of transformers.
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
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
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

    /// See [`dice_ce`].
    fn layer_dice_ce(logits: FloatTensor<Self>, classes: IntTensor<Self>) -> FloatTensor<Self>;

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

/// Implements [`DifferentiableOps`] for a backend without autodiff by its [`BackendOps`](crate::BackendOps).
macro_rules! without_gradients {
    ($backend:ty) => {
        impl $crate::DifferentiableOps for $backend {
            fn layer_conv(
                x: burn::tensor::ops::FloatTensor<Self>,
                weight: burn::tensor::ops::FloatTensor<Self>,
                bias: Option<burn::tensor::ops::FloatTensor<Self>>,
                geometry: $crate::ConvGeometry,
            ) -> burn::tensor::ops::FloatTensor<Self> {
                <Self as $crate::BackendOps>::conv(x, weight, bias, geometry)
            }

            fn layer_conv_transpose(
                x: burn::tensor::ops::FloatTensor<Self>,
                weight: burn::tensor::ops::FloatTensor<Self>,
                output_shape: [usize; 3],
                geometry: $crate::ConvGeometry,
            ) -> burn::tensor::ops::FloatTensor<Self> {
                <Self as $crate::BackendOps>::conv_input_gradient(x, weight, output_shape, geometry)
            }

            fn layer_instance_norm(
                x: burn::tensor::ops::FloatTensor<Self>,
                weight: burn::tensor::ops::FloatTensor<Self>,
                bias: burn::tensor::ops::FloatTensor<Self>,
                epsilon: f32,
                nonlinearity: $crate::Nonlinearity,
            ) -> burn::tensor::ops::FloatTensor<Self> {
                <Self as $crate::BackendOps>::instance_norm(x, weight, bias, epsilon, nonlinearity)
                    .output
            }

            fn layer_batch_norm(
                x: burn::tensor::ops::FloatTensor<Self>,
                weight: burn::tensor::ops::FloatTensor<Self>,
                bias: burn::tensor::ops::FloatTensor<Self>,
                running: [burn::tensor::ops::FloatTensor<Self>; 2],
                settings: $crate::BatchNormSettings,
                nonlinearity: $crate::Nonlinearity,
            ) -> $crate::BatchNormalized<Self> {
                let output = <Self as $crate::BackendOps>::batch_norm_inference(
                    x,
                    running.clone(),
                    weight,
                    bias,
                    settings.epsilon,
                    nonlinearity,
                );
                $crate::BatchNormalized { output, running }
            }

            fn layer_dice_ce(
                logits: burn::tensor::ops::FloatTensor<Self>,
                classes: burn::tensor::ops::IntTensor<Self>,
            ) -> burn::tensor::ops::FloatTensor<Self> {
                <Self as $crate::BackendOps>::dice_ce(logits, classes).loss
            }

            fn layer_window_attention(
                qkv: burn::tensor::ops::FloatTensor<Self>,
                bias: burn::tensor::ops::FloatTensor<Self>,
                regions: Option<burn::tensor::ops::IntTensor<Self>>,
            ) -> burn::tensor::ops::FloatTensor<Self> {
                <Self as $crate::BackendOps>::window_attention(qkv, bias, regions).output
            }

            fn layer_layer_norm(
                x: burn::tensor::ops::FloatTensor<Self>,
                affine: Option<[burn::tensor::ops::FloatTensor<Self>; 2]>,
                epsilon: f32,
            ) -> burn::tensor::ops::FloatTensor<Self> {
                <Self as $crate::BackendOps>::layer_norm(x, affine, epsilon)
            }

            fn layer_gelu(
                x: burn::tensor::ops::FloatTensor<Self>,
            ) -> burn::tensor::ops::FloatTensor<Self> {
                <Self as $crate::BackendOps>::gelu(x)
            }

            fn layer_gather_rows(
                x: burn::tensor::ops::FloatTensor<Self>,
                gather: &$crate::RowGather<burn::tensor::ops::IntTensor<Self>>,
            ) -> burn::tensor::ops::FloatTensor<Self> {
                <Self as $crate::BackendOps>::gather_rows(x, gather)
            }
        }
    };
}

pub(crate) use without_gradients;

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
/// **Shapes**: `x` `[N, X, Y, Z, C]`, `weight` and `bias` `[C]` → as `x`.
///
/// **Definition**: `(x - mean) / sqrt(var + epsilon) · weight + bias`, population variance.
pub fn instance_norm<B: DifferentiableOps>(
    x: Tensor<B, 5>,
    weight: Tensor<B, 1>,
    bias: Tensor<B, 1>,
    epsilon: f32,
    nonlinearity: Nonlinearity,
) -> Tensor<B, 5> {
    tensor(B::layer_instance_norm(
        primitive(x),
        primitive(weight),
        primitive(bias),
        epsilon,
        nonlinearity,
    ))
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

fn primitive<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> FloatTensor<B> {
    tensor.into_primitive().tensor()
}

fn tensor<B: Backend, const D: usize>(primitive: FloatTensor<B>) -> Tensor<B, D> {
    Tensor::from_primitive(TensorPrimitive::Float(primitive))
}
