//! The operations of a forward pass.

use std::ops::Range;

use burn::module::Param;
use burn::nn::conv::{Conv3d, ConvTranspose3d};
use burn::tensor::{Tensor, backend::Backend};

use super::constant::{Constant, Indices};
use super::shape::Shape;
use super::window_attention::WindowAttention;
use crate::blocks::{BatchNorm, InstanceNorm, LayerNorm, Linear};

/// Interprets the operations of a network's forward pass.
///
/// [`Eager`](super::Eager) computes; the exporter's implementation records. Layers come as modules, so that an
/// interpreter sees both hyperparameters and weights. Shapes are those of PyTorch and ONNX, independent of the memory
/// layout; N is the number of cases, or that times a constant.
///
/// **Panics**: every operation panics with the shapes where they do not fit; only the author of a network can cause
/// that.
pub trait NetworkOps<B: Backend> {
    /// A value between operations: a tensor, or the name of one.
    type Value: Clone;

    /// The shape of a value.
    fn shape<'v>(&self, x: &'v Self::Value) -> &'v Shape;

    /// A parameter as a value, for operations without a layer.
    fn parameter<const D: usize>(&mut self, parameter: &Param<Tensor<B, D>>) -> Self::Value;

    /// A constant as a value.
    fn constant(&mut self, constant: &Constant) -> Self::Value;

    /// Convolution, `[N, C, X, Y, Z]` → `[N, K, X', Y', Z']`.
    fn conv(&mut self, layer: &Conv3d<B>, x: Self::Value) -> Self::Value;

    /// Transposed convolution, `[N, C, X, Y, Z]` → `[N, K, X', Y', Z']`.
    fn conv_transpose(&mut self, layer: &ConvTranspose3d<B>, x: Self::Value) -> Self::Value;

    /// Instance normalization of a volume `[N, C, X, Y, Z]`.
    fn instance_norm(&mut self, layer: &InstanceNorm<B>, x: Self::Value) -> Self::Value;

    /// Instance normalization, then `max(·, 0)`.
    fn norm_relu(&mut self, layer: &InstanceNorm<B>, x: Self::Value) -> Self::Value {
        let x = self.instance_norm(layer, x);
        self.relu(x)
    }

    /// Instance normalization, then `x` where it is at least 0, else `slope x`.
    fn norm_leaky_relu(
        &mut self,
        layer: &InstanceNorm<B>,
        x: Self::Value,
        slope: f32,
    ) -> Self::Value {
        let x = self.instance_norm(layer, x);
        self.leaky_relu(x, slope)
    }

    /// Batch normalization of a volume `[N, C, X, Y, Z]`: with the statistics of the batch, which update the running
    /// ones, where gradients are recorded; otherwise with the running ones.
    fn batch_norm(&mut self, layer: &BatchNorm<B>, x: Self::Value) -> Self::Value;

    /// Batch normalization, then `max(·, 0)`.
    fn batch_norm_relu(&mut self, layer: &BatchNorm<B>, x: Self::Value) -> Self::Value {
        let x = self.batch_norm(layer, x);
        self.relu(x)
    }

    /// Resizes a volume `[N, C, X, Y, Z]` linearly to `[N, C, space]`; see [`vesal_kernels::resize_linear`].
    fn resize_linear(&mut self, x: Self::Value, space: [usize; 3]) -> Self::Value;

    /// `max(x, 0)`.
    fn relu(&mut self, x: Self::Value) -> Self::Value;

    /// `x` where it is at least 0, else `slope x`.
    fn leaky_relu(&mut self, x: Self::Value, slope: f32) -> Self::Value;

    /// `x / 2 (1 + erf(x / √2))`.
    fn gelu(&mut self, x: Self::Value) -> Self::Value;

    /// Elementwise sum. `b` is as `a`, or repeated to its shape: aligned at the end, axes as long or of size 1.
    fn add(&mut self, a: Self::Value, b: Self::Value) -> Self::Value;

    /// Elementwise sum of two values of one shape, then `x` where it is at least 0, else `slope x`.
    fn add_leaky_relu(&mut self, a: Self::Value, b: Self::Value, slope: f32) -> Self::Value {
        let sum = self.add(a, b);
        self.leaky_relu(sum, slope)
    }

    /// Elementwise product; `b` as in [`add`](Self::add).
    fn mul(&mut self, a: Self::Value, b: Self::Value) -> Self::Value;

    /// `factor x`.
    fn scale(&mut self, x: Self::Value, factor: f32) -> Self::Value;

    /// Linear map of the last axis, `[.., C]` → `[.., K]`.
    fn linear(&mut self, layer: &Linear<B>, x: Self::Value) -> Self::Value;

    /// Products of matrices, `[.., m, k]` and `[.., k, n]` → `[.., m, n]`. Leading axes are the same, or one side lacks
    /// them (or has them of size 1) and is repeated.
    fn matmul(&mut self, a: Self::Value, b: Self::Value) -> Self::Value;

    /// `exp(x) / Σ exp(x)` along the last axis.
    fn softmax(&mut self, x: Self::Value) -> Self::Value;

    /// A bias by relative position: for every pair of tokens of a window the row of a table at the pair's index, as
    /// `[heads, n, n]`.
    ///
    /// **Shapes**: the table is `[positions, heads]`, the indices are `[n, n]` in C order.
    fn position_bias(&mut self, table: &Param<Tensor<B, 2>>, indices: &Indices) -> Self::Value {
        let [_, heads] = table.dims();
        let tokens = indices.values().len().isqrt();
        let table = self.parameter(table);
        let bias = self.gather(table, 0, indices);
        let bias = self.reshape(bias, &Shape::fixed([tokens, tokens, heads]));
        self.transpose(bias, &[2, 0, 1])
    }

    /// Attention of the tokens of each window to one another, see [`WindowAttention`].
    ///
    /// **Shapes**: `[windows N, n, C]`.
    fn window_attention(&mut self, attention: WindowAttention<Self::Value>) -> Self::Value {
        let WindowAttention {
            qkv,
            bias,
            regions,
            heads,
        } = attention;
        let sizes = self.shape(&qkv).sizes();
        let (windows, tokens, channels) = (sizes[0], sizes[1], sizes[2] / 3);
        let depth = channels / heads;
        let parts = Shape::batched([1, windows, tokens, 3, heads, depth]);
        let qkv = self.reshape(qkv, &parts);
        let qkv = self.transpose(qkv, &[0, 3, 1, 4, 2, 5]);
        let [q, k, v] = [0, 1, 2].map(|part| self.slice(qkv.clone(), 1, part..part + 1, 1));
        let q = self.scale(q, (depth as f32).powf(-0.5));
        let k = self.transpose(k, &[0, 1, 2, 3, 5, 4]);
        let mut scores = self.matmul(q, k);
        scores = self.add(scores, bias);
        if let Some(regions) = regions {
            let [left, right] = regions.factors();
            let (left, right) = (self.constant(left), self.constant(right));
            let mask = self.matmul(left, right);
            scores = self.add(scores, mask);
        }
        let weights = self.softmax(scores);
        let y = self.matmul(weights, v);
        let y = self.transpose(y, &[0, 1, 2, 4, 3, 5]);
        self.reshape(y, &Shape::batched([windows, tokens, channels]))
    }

    /// Layer normalization along the last axis.
    fn layer_norm(&mut self, layer: &LayerNorm<B>, x: Self::Value) -> Self::Value;

    /// The same elements in C order in another shape. Only the first axis may change how it depends on N:
    /// `[N, 8, ..]` → `[8 N, ..]`.
    fn reshape(&mut self, x: Self::Value, shape: &Shape) -> Self::Value;

    /// The axes in another order: axis `i` of the result is axis `axes[i]`. That of the batch stays the first.
    fn transpose(&mut self, x: Self::Value, axes: &[usize]) -> Self::Value;

    /// The elements at these indices along an axis that is not that of the batch.
    fn gather(&mut self, x: Self::Value, axis: usize, indices: &Indices) -> Self::Value;

    /// Every `step`-th element of a range along an axis that is not that of the batch.
    fn slice(
        &mut self,
        x: Self::Value,
        axis: usize,
        range: Range<usize>,
        step: usize,
    ) -> Self::Value;

    /// Every `step`-th voxel of a volume along each spatial axis, from `start` on.
    fn subsample(&mut self, x: Self::Value, start: usize, step: usize) -> Self::Value {
        let (_, space) = self.shape(&x).volume();
        (2..5)
            .zip(space)
            .fold(x, |x, (axis, size)| self.slice(x, axis, start..size, step))
    }

    /// Values concatenated along an axis that is not that of the batch; all other sizes are the same.
    fn concat(&mut self, values: Vec<Self::Value>, axis: usize) -> Self::Value;

    /// Zeros before and after the elements, as many as are given for every axis; none along that of the batch.
    fn pad(&mut self, x: Self::Value, widths: &[[usize; 2]]) -> Self::Value;

    /// The elements moved by `shift` towards the end of an axis; those beyond the end wrap around to its start.
    fn roll(&mut self, x: Self::Value, axis: usize, shift: usize) -> Self::Value {
        let size = self.shape(&x)[axis];
        let start = shift % size;
        if start == 0 {
            return x;
        }
        let tail = self.slice(x.clone(), axis, size - start..size, 1);
        let head = self.slice(x, axis, 0..size - start, 1);
        self.concat(vec![tail, head], axis)
    }
}
