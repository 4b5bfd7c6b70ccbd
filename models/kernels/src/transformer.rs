//! The operations of transformers.

use burn::tensor::ops::IntTensor;
use burn::tensor::{Int, Tensor};

use crate::differentiable_ops::DifferentiableOps;
use crate::float_tensors::{primitive, tensor};
use crate::row_gather::RowGather;

/// `x weightᵀ + bias`.
///
/// **Shapes**: `x` `[rows, C]`, `weight` `[K, C]`, `bias` `[K]` → `[rows, K]`.
pub fn linear<B: DifferentiableOps>(
    x: Tensor<B, 2>,
    weight: Tensor<B, 2>,
    bias: Option<Tensor<B, 1>>,
) -> Tensor<B, 2> {
    let bias = bias.map(primitive);
    tensor(B::layer_linear(primitive(x), primitive(weight), bias))
}

/// Attention within windows. No matrix of attention is stored: the gradient computes it again.
///
/// **Shapes**: `qkv` `[N · W, n, 3 C]`: queries, keys and values in this order, each head after head; the windows of a
/// case lie side by side. `bias` `[heads, n, n]`. `regions` `[W, n]`: the region of each token of the windows of a case.
/// → `[N · W, n, C]`, heads side by side.
///
/// **Definition**: `softmax(q kᵀ / sqrt(C / heads) + bias + mask) v` for each head, where the mask is -100 between tokens
/// of different regions and 0 otherwise.
///
/// **Source**: Liu et al. 2021, equation 4; MONAI 1.6.1 `swin_unetr.WindowAttention`.
pub fn window_attention<B: DifferentiableOps>(
    qkv: Tensor<B, 3>,
    bias: Tensor<B, 3>,
    regions: Option<Tensor<B, 2, Int>>,
) -> Tensor<B, 3> {
    let regions = regions.map(Tensor::into_primitive);
    tensor(B::layer_window_attention(
        primitive(qkv),
        primitive(bias),
        regions,
    ))
}

/// Normalizes the last axis, then scales and shifts it where parameters are given.
///
/// **Shapes**: `x` `[N, T, C]`, `weight` and `bias` `[C]` → as `x`.
///
/// **Definition**: `(x - mean) / sqrt(var + epsilon) · weight + bias`, population variance.
///
/// **Source**: Ba et al. 2016.
pub fn layer_norm<B: DifferentiableOps>(
    x: Tensor<B, 3>,
    weight: Option<Tensor<B, 1>>,
    bias: Option<Tensor<B, 1>>,
    epsilon: f32,
) -> Tensor<B, 3> {
    let ([.., c], device) = (x.dims(), x.device());
    let affine = match (weight, bias) {
        (None, None) => None,
        (weight, bias) => {
            let weight = weight.unwrap_or_else(|| Tensor::ones([c], &device));
            let bias = bias.unwrap_or_else(|| Tensor::zeros([c], &device));
            Some([weight, bias].map(primitive))
        }
    };
    tensor(B::layer_layer_norm(primitive(x), affine, epsilon))
}

/// `x / 2 (1 + erf(x / √2))`.
///
/// **Source**: Hendrycks & Gimpel 2016.
pub fn gelu<B: DifferentiableOps, const D: usize>(x: Tensor<B, D>) -> Tensor<B, D> {
    tensor(B::layer_gelu(primitive(x)))
}

/// The rows at constant indices: `y[i, j] = x[i, indices[j]]`.
///
/// **Shapes**: `x` `[N, rows, C]` → `[N, outputs, C]`.
pub fn gather_rows<B: DifferentiableOps>(
    x: Tensor<B, 3>,
    gather: &RowGather<IntTensor<B>>,
) -> Tensor<B, 3> {
    tensor(B::layer_gather_rows(primitive(x), gather))
}
