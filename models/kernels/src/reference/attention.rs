//! Attention within windows.

use burn::tensor::backend::Backend;
use burn::tensor::ops::{FloatTensor, IntTensor};
use burn::tensor::{Int, Tensor, TensorMetadata};

use super::tensors::{same_type, single};
use crate::float_tensors::{primitive, tensor};
use crate::results::{Attended, AttentionGradients};

/// Added between tokens of different regions.
pub const APART: f32 = -100.0;

pub fn window_attention<B: Backend>(
    qkv: FloatTensor<B>,
    bias: FloatTensor<B>,
    regions: Option<IntTensor<B>>,
) -> Attended<B> {
    let dtype = qkv.dtype();
    let heads = Heads::<B>::new(qkv, &bias);
    let scores = heads.scores(bias, regions);
    let largest = scores.clone().max_dim(3);
    let exponentials = (scores - largest.clone()).exp();
    let sums = exponentials.clone().sum_dim(3);
    let [windows, count, n, _] = sums.dims();
    let output = (exponentials / sums.clone()).matmul(heads.values);
    let log_sums = (largest + sums.log()).reshape([windows, count, n]);
    Attended {
        output: primitive(same_type(joined(output), dtype)),
        log_sums: primitive(log_sums),
    }
}

pub fn window_attention_gradient<B: Backend>(
    qkv: FloatTensor<B>,
    bias: FloatTensor<B>,
    regions: Option<IntTensor<B>>,
    attended: Attended<B>,
    gradient: FloatTensor<B>,
) -> AttentionGradients<B> {
    let dtype = qkv.dtype();
    let heads = Heads::<B>::new(qkv, &bias);
    let scores = heads.scores(bias, regions);
    let [windows, count, n, _] = scores.dims();
    let log_sums = tensor::<B, 3>(attended.log_sums).reshape([windows, count, n, 1]);
    let p = (scores - log_sums).exp();
    let [output, gradient] = [attended.output, gradient].map(|x| heads.divided(x));
    let to_values = p.clone().swap_dims(2, 3).matmul(gradient.clone());
    let along = (output * gradient.clone()).sum_dim(3);
    let by_scores = p * (gradient.matmul(heads.values.clone().swap_dims(2, 3)) - along);
    let scale = heads.scale();
    let to_queries = by_scores.clone().matmul(heads.keys).mul_scalar(scale);
    let to_keys = by_scores.clone().swap_dims(2, 3).matmul(heads.queries);
    let parts = [to_queries, to_keys.mul_scalar(scale), to_values].map(joined);
    let to_bias = by_scores.sum_dim(0).reshape([count, n, n]);
    AttentionGradients {
        qkv: primitive(same_type(Tensor::cat(parts.to_vec(), 2), dtype)),
        bias: primitive(to_bias),
    }
}

/// Queries, keys and values by head, `[N · W, heads, n, C / heads]` each.
struct Heads<B: Backend> {
    queries: Tensor<B, 4>,
    keys: Tensor<B, 4>,
    values: Tensor<B, 4>,
}

impl<B: Backend> Heads<B> {
    fn new(qkv: FloatTensor<B>, bias: &FloatTensor<B>) -> Self {
        let [heads, ..]: [usize; 3] = bias.shape().dims();
        let qkv = single(tensor::<B, 3>(qkv));
        let [windows, n, channels] = qkv.dims();
        let qkv = qkv.reshape([windows, n, 3, heads, channels / 3 / heads]);
        let part = |at| {
            let part = qkv.clone().narrow(2, at, 1);
            part.reshape([windows, n, heads, channels / 3 / heads])
                .swap_dims(1, 2)
        };
        Self {
            queries: part(0),
            keys: part(1),
            values: part(2),
        }
    }

    fn scale(&self) -> f64 {
        let [.., channels] = self.queries.dims();
        (channels as f64).sqrt().recip()
    }

    /// `[N · W, n, C]` by head.
    fn divided(&self, x: FloatTensor<B>) -> Tensor<B, 4> {
        let [windows, heads, n, channels] = self.queries.dims();
        let x = single(tensor::<B, 3>(x));
        x.reshape([windows, n, heads, channels]).swap_dims(1, 2)
    }

    /// `[N · W, heads, n, n]`.
    fn scores(&self, bias: FloatTensor<B>, regions: Option<IntTensor<B>>) -> Tensor<B, 4> {
        let [windows, heads, n, _] = self.queries.dims();
        let bias = single(tensor::<B, 3>(bias)).reshape([1, heads, n, n]);
        let queries = self.queries.clone().mul_scalar(self.scale());
        let scores = queries.matmul(self.keys.clone().swap_dims(2, 3)) + bias;
        let Some(regions) = regions else {
            return scores;
        };
        let regions = Tensor::<B, 2, Int>::from_primitive(regions);
        let [in_case, _] = regions.dims();
        let of = |shape: [usize; 3]| regions.clone().reshape(shape).expand([in_case, n, n]);
        let apart = of([in_case, n, 1]).not_equal(of([in_case, 1, n])).float();
        let mask = single(apart.mul_scalar(APART)).reshape([1, in_case, 1, n, n]);
        let scores = scores.reshape([windows / in_case, in_case, heads, n, n]) + mask;
        scores.reshape([windows, heads, n, n])
    }
}

/// Heads side by side: `[N · W, heads, n, c]` → `[N · W, n, C]`.
fn joined<B: Backend>(x: Tensor<B, 4>) -> Tensor<B, 3> {
    let [windows, heads, n, channels] = x.dims();
    x.swap_dims(1, 2).reshape([windows, n, heads * channels])
}
