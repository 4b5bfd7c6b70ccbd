//! Layer normalization and GELU.

use std::f64::consts::{FRAC_1_SQRT_2, TAU};

use burn::tensor::backend::Backend;
use burn::tensor::ops::FloatTensor;
use burn::tensor::{DType, Shape, Tensor, TensorMetadata};

use super::tensors::{same_type, single};
use crate::float_tensors::{primitive, tensor};
use crate::results::NormGradients;

pub fn layer_norm<B: Backend>(
    x: FloatTensor<B>,
    affine: Option<[FloatTensor<B>; 2]>,
    epsilon: f32,
) -> FloatTensor<B> {
    let (shape, dtype) = (x.shape(), x.dtype());
    let (normalized, _) = normalized::<B>(x, epsilon);
    let [_, c] = normalized.dims();
    let y = match affine.map(|affine| affine.map(|values| tensor::<B, 1>(values).reshape([1, c]))) {
        Some([weight, bias]) => normalized * weight + bias,
        None => normalized,
    };
    shaped(y, shape, dtype)
}

pub fn layer_norm_gradient<B: Backend>(
    x: FloatTensor<B>,
    weight: Option<FloatTensor<B>>,
    gradient: FloatTensor<B>,
    epsilon: f32,
) -> NormGradients<B> {
    let (shape, dtype) = (x.shape(), x.dtype());
    let (normalized, inverse) = normalized::<B>(x, epsilon);
    let gradient = rows::<B>(gradient);
    let [_, c] = normalized.dims();
    let affine = weight.is_some().then(|| {
        let along = (gradient.clone() * normalized.clone()).sum_dim(0);
        [along, gradient.clone().sum_dim(0)].map(|sums| primitive(sums.reshape([c])))
    });
    let gradient = match weight {
        Some(weight) => gradient * tensor::<B, 1>(weight).reshape([1, c]),
        None => gradient,
    };
    let mean = gradient.clone().mean_dim(1);
    let along = (gradient.clone() * normalized.clone()).mean_dim(1);
    let input = (gradient - mean - normalized * along) * inverse;
    NormGradients {
        input: shaped(input, shape, dtype),
        affine,
    }
}

pub fn gelu<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let (shape, dtype) = (x.shape(), x.dtype());
    let x = flat::<B>(x);
    shaped(x.clone() * below(x), shape, dtype)
}

pub fn gelu_gradient<B: Backend>(x: FloatTensor<B>, gradient: FloatTensor<B>) -> FloatTensor<B> {
    let (shape, dtype) = (x.shape(), x.dtype());
    let (x, gradient) = (flat::<B>(x), flat::<B>(gradient));
    let density = (x.clone() * x.clone()).mul_scalar(-0.5).exp();
    let slope = below(x.clone()) + x * density.mul_scalar(TAU.sqrt().recip());
    shaped(gradient * slope, shape, dtype)
}

/// Share of the standard normal distribution below each value.
fn below<B: Backend>(x: Tensor<B, 2>) -> Tensor<B, 2> {
    let erf = x.mul_scalar(FRAC_1_SQRT_2).erf();
    erf.add_scalar(1.0).mul_scalar(0.5)
}

/// Rows of mean 0 and variance 1, and the factor of each row.
fn normalized<B: Backend>(x: FloatTensor<B>, epsilon: f32) -> (Tensor<B, 2>, Tensor<B, 2>) {
    let x = rows::<B>(x);
    let centered = x.clone() - x.mean_dim(1);
    let variance = (centered.clone() * centered.clone()).mean_dim(1);
    let inverse = variance.add_scalar(epsilon).sqrt().recip();
    (centered * inverse.clone(), inverse)
}

/// `[.., C]` → `[rows, C]`, `f32`.
fn rows<B: Backend>(x: FloatTensor<B>) -> Tensor<B, 2> {
    let shape = x.shape();
    let c = shape[shape.num_dims() - 1];
    let count = shape.num_elements();
    single(tensor(B::float_reshape(x, [count / c.max(1), c].into())))
}

/// All values in one row, `f32`.
fn flat<B: Backend>(x: FloatTensor<B>) -> Tensor<B, 2> {
    let count = x.shape().num_elements();
    single(tensor(B::float_reshape(x, [1, count].into())))
}

fn shaped<B: Backend>(x: Tensor<B, 2>, shape: Shape, dtype: DType) -> FloatTensor<B> {
    B::float_reshape(primitive(same_type(x, dtype)), shape)
}
