//! Normalizations and their gradients, and sums over voxels.

use burn::tensor::activation::{leaky_relu, relu};
use burn::tensor::backend::Backend;
use burn::tensor::ops::FloatTensor;
use burn::tensor::{Tensor, TensorMetadata};

use super::tensors::{same_type, single};
use crate::batch_norm::{BatchNormSettings, bessel_correction};
use crate::float_tensors::{primitive, tensor};
use crate::nonlinearity::Nonlinearity;
use crate::results::{NormGradients, Normalized};

pub fn bias_gradient<B: Backend>(gradient: FloatTensor<B>) -> FloatTensor<B> {
    let gradient = single(tensor::<B, 5>(gradient));
    let [n, x, y, z, k] = gradient.dims();
    primitive(gradient.reshape([n * x * y * z, k]).sum_dim(0).reshape([k]))
}

pub fn instance_norm<B: Backend>(
    x: FloatTensor<B>,
    affine: Option<[FloatTensor<B>; 2]>,
    epsilon: f32,
    nonlinearity: Nonlinearity,
) -> Normalized<B> {
    let x = tensor::<B, 5>(x);
    let dtype = x.dtype();
    let dims @ [n, sx, sy, sz, c] = x.dims();
    let x = single(x).reshape([n, sx * sy * sz, c]);
    let mean = x.clone().mean_dim(1);
    let centered = x - mean.clone();
    let variance = (centered.clone() * centered.clone()).mean_dim(1);
    let inverse = variance.add_scalar(epsilon).sqrt().recip();
    let normalized = centered * inverse.clone();
    let y = apply(nonlinearity, scaled(normalized, &affine));
    Normalized {
        output: primitive(same_type(y.reshape(dims), dtype)),
        statistics: primitive(Tensor::cat(vec![mean, inverse], 1)),
    }
}

pub fn instance_norm_gradient<B: Backend>(
    x: FloatTensor<B>,
    statistics: FloatTensor<B>,
    affine: Option<[FloatTensor<B>; 2]>,
    gradient: FloatTensor<B>,
    nonlinearity: Nonlinearity,
) -> NormGradients<B> {
    let x = tensor::<B, 5>(x);
    let dtype = x.dtype();
    let dims @ [n, sx, sy, sz, c] = x.dims();
    let voxels = sx * sy * sz;
    let x = single(x).reshape([n, voxels, c]);
    let gradient = single(tensor::<B, 5>(gradient)).reshape([n, voxels, c]);
    let statistics = tensor::<B, 3>(statistics);
    let (mean, inverse) = (
        statistics.clone().narrow(1, 0, 1),
        statistics.narrow(1, 1, 1),
    );
    let normalized = (x - mean) * inverse.clone();
    let gradient = match nonlinearity {
        Nonlinearity::Identity => gradient,
        Nonlinearity::Relu | Nonlinearity::LeakyRelu(_) => {
            let below = scaled(normalized.clone(), &affine).lower_equal_elem(0.0);
            let lessened = gradient.clone().mul_scalar(nonlinearity.slope());
            gradient.mask_where(below, lessened)
        }
    };
    let along = (gradient.clone() * normalized.clone()).sum_dim(1);
    let total = gradient.clone().sum_dim(1);
    let means = (total.clone() + normalized * along.clone()).div_scalar(voxels as f64);
    let input = (gradient - means) * inverse;
    let input = match &affine {
        Some([weight, _]) => input * by_channel::<B>(weight),
        None => input,
    };
    NormGradients {
        input: primitive(same_type(input.reshape(dims), dtype)),
        affine: affine.map(|_| [along, total].map(|sums| primitive(sums.sum_dim(0).reshape([c])))),
    }
}

/// Values per channel, `[1, 1, C]`.
fn by_channel<B: Backend>(values: &FloatTensor<B>) -> Tensor<B, 3> {
    let values = tensor::<B, 1>(values.clone());
    let [c] = values.dims();
    values.reshape([1, 1, c])
}

/// `[N, V, C]` times weight plus bias, where there are any.
fn scaled<B: Backend>(x: Tensor<B, 3>, affine: &Option<[FloatTensor<B>; 2]>) -> Tensor<B, 3> {
    match affine {
        Some([weight, bias]) => x * by_channel::<B>(weight) + by_channel::<B>(bias),
        None => x,
    }
}

pub fn leaky_relu_sum<B: Backend>(
    x: FloatTensor<B>,
    addend: Option<FloatTensor<B>>,
    slope: f32,
) -> FloatTensor<B> {
    assert!(slope >= 0.0, "a leaky ReLU with a slope of {slope}");
    let sum = match addend {
        Some(addend) => B::float_add(x, addend),
        None => x,
    };
    B::leaky_relu(sum, slope.into())
}

pub fn leaky_relu_gradient<B: Backend>(
    output: FloatTensor<B>,
    gradient: FloatTensor<B>,
    slope: f32,
) -> FloatTensor<B> {
    let shape = output.shape();
    let count = shape.num_elements();
    let flat = |values| tensor::<B, 1>(B::float_reshape(values, [count].into()));
    let (output, gradient) = (flat(output), flat(gradient));
    let lessened = gradient.clone().mul_scalar(slope);
    let gradient = gradient.mask_where(output.lower_equal_elem(0.0), lessened);
    B::float_reshape(primitive(gradient), shape)
}

pub fn update_running<B: Backend>(
    running: [FloatTensor<B>; 2],
    statistics: FloatTensor<B>,
    values: usize,
    settings: BatchNormSettings,
) -> [FloatTensor<B>; 2] {
    let statistics = tensor::<B, 3>(statistics);
    let [.., c] = statistics.dims();
    let part = |at| statistics.clone().narrow(1, at, 1).reshape([c]);
    let inverse: Tensor<B, 1> = part(1);
    let variance = (inverse.clone() * inverse)
        .recip()
        .sub_scalar(settings.epsilon);
    // Not `max`, because NaN must be kept.
    let negative = variance.clone().lower_elem(0.0);
    let variance = variance.mask_fill(negative, 0.0);
    let [mean, running_variance] = running.map(tensor::<B, 1>);
    let mix = |running: Tensor<B, 1>, batch: Tensor<B, 1>, factor: f32| {
        let running = running.mul_scalar(1.0 - settings.momentum);
        primitive(running + batch.mul_scalar(settings.momentum * factor))
    };
    [
        mix(mean, part(0), 1.0),
        mix(running_variance, variance, bessel_correction(values)),
    ]
}

pub fn batch_norm_inference<B: Backend>(
    x: FloatTensor<B>,
    running: [FloatTensor<B>; 2],
    weight: FloatTensor<B>,
    bias: FloatTensor<B>,
    epsilon: f32,
    nonlinearity: Nonlinearity,
) -> FloatTensor<B> {
    let x = tensor::<B, 5>(x);
    let dtype = x.dtype();
    let [.., c] = x.dims();
    let by_channel = |values| tensor::<B, 1>(values).reshape([1, 1, 1, 1, c]);
    let [mean, variance] = running.map(by_channel);
    let scale = by_channel(weight) * variance.add_scalar(epsilon).sqrt().recip();
    let y = (single(x) - mean) * scale + by_channel(bias);
    primitive(same_type(apply(nonlinearity, y), dtype))
}

fn apply<B: Backend, const D: usize>(nonlinearity: Nonlinearity, x: Tensor<B, D>) -> Tensor<B, D> {
    match nonlinearity {
        Nonlinearity::Identity => x,
        Nonlinearity::Relu => relu(x),
        Nonlinearity::LeakyRelu(slope) => leaky_relu(x, slope.into()),
    }
}
