//! Every operation written in Burn's own: the fallback of all backends, and what kernels are tested against.

use burn::tensor::backend::Backend;
use burn::tensor::module;
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions, FloatTensor, IntTensor};
use burn::tensor::{DType, FloatDType, Int, Tensor, TensorPrimitive};

use crate::geometry::ConvGeometry;
use crate::nonlinearity::Nonlinearity;
use crate::optimizer::{AdamWStep, Moments};
use crate::results::{DiceCe, NormGradients, Normalized, Scalars};

/// Keeps the Dice loss of an absent class finite.
pub(crate) const SMOOTH_DENOMINATOR: f64 = 1e-5;

fn tensor<B: Backend, const D: usize>(primitive: FloatTensor<B>) -> Tensor<B, D> {
    Tensor::from_primitive(TensorPrimitive::Float(primitive))
}

fn primitive<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> FloatTensor<B> {
    tensor.into_primitive().tensor()
}

/// `[N, X, Y, Z, C]` → `[N, C, X, Y, Z]`.
fn channels_first<B: Backend>(x: Tensor<B, 5>) -> Tensor<B, 5> {
    x.permute([0, 4, 1, 2, 3])
}

/// `[N, C, X, Y, Z]` → `[N, X, Y, Z, C]`.
fn channels_last<B: Backend>(x: Tensor<B, 5>) -> Tensor<B, 5> {
    x.permute([0, 2, 3, 4, 1])
}

fn options(geometry: ConvGeometry) -> ConvOptions<3> {
    ConvOptions::new(geometry.stride, geometry.padding, [1; 3], 1)
}

pub fn conv<B: Backend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    bias: Option<FloatTensor<B>>,
    geometry: ConvGeometry,
) -> FloatTensor<B> {
    let x = tensor::<B, 5>(x);
    let dtype = x.dtype();
    let weight = same_type(tensor::<B, 5>(weight), dtype);
    let bias = bias.map(|bias| same_type(tensor::<B, 1>(bias), dtype));
    let y = module::conv3d(channels_first(x), weight, bias, options(geometry));
    primitive(channels_last(y))
}

pub fn conv_input_gradient<B: Backend>(
    gradient: FloatTensor<B>,
    weight: FloatTensor<B>,
    input_shape: [usize; 3],
    geometry: ConvGeometry,
) -> FloatTensor<B> {
    let gradient = tensor::<B, 5>(gradient);
    let [_, x, y, z, _] = gradient.dims();
    let plain = geometry.transposed_shape([x, y, z], [0; 3]);
    let extra = std::array::from_fn(|axis| input_shape[axis] - plain[axis]);
    let weight = same_type(tensor::<B, 5>(weight), gradient.dtype());
    let options = ConvTransposeOptions::new(geometry.stride, geometry.padding, extra, [1; 3], 1);
    let y = module::conv_transpose3d(channels_first(gradient), weight, None, options);
    primitive(channels_last(y))
}

pub fn conv_weight_gradient<B: Backend>(
    x: FloatTensor<B>,
    gradient: FloatTensor<B>,
    geometry: ConvGeometry,
) -> FloatTensor<B> {
    let x = single(channels_first(tensor::<B, 5>(x)));
    let gradient = single(channels_first(tensor::<B, 5>(gradient)));
    let [_, c, ..] = x.dims();
    let [_, k, ..] = gradient.dims();
    let [kx, ky, kz] = geometry.kernel;
    // Only its shape is read.
    let weight = Tensor::<B, 5>::zeros([k, c, kx, ky, kz], &x.device());
    B::conv3d_weight_backward(
        primitive(x),
        primitive(weight),
        primitive(gradient),
        options(geometry),
    )
}

pub fn bias_gradient<B: Backend>(gradient: FloatTensor<B>) -> FloatTensor<B> {
    let gradient = single(tensor::<B, 5>(gradient));
    let [n, x, y, z, k] = gradient.dims();
    primitive(gradient.reshape([n * x * y * z, k]).sum_dim(0).reshape([k]))
}

pub fn instance_norm<B: Backend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    bias: FloatTensor<B>,
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
    let scale = tensor::<B, 1>(weight).reshape([1, 1, c]) * inverse.clone();
    let y = centered * scale + tensor::<B, 1>(bias).reshape([1, 1, c]);
    let y = match nonlinearity {
        Nonlinearity::Identity => y,
        Nonlinearity::Relu => burn::tensor::activation::relu(y),
    };
    Normalized {
        output: primitive(same_type(y.reshape(dims), dtype)),
        statistics: primitive(Tensor::cat(vec![mean, inverse], 1)),
    }
}

pub fn instance_norm_gradient<B: Backend>(
    x: FloatTensor<B>,
    statistics: FloatTensor<B>,
    weight: FloatTensor<B>,
    bias: FloatTensor<B>,
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
    let weight = tensor::<B, 1>(weight).reshape([1, 1, c]);
    let bias = tensor::<B, 1>(bias).reshape([1, 1, c]);
    let normalized = (x - mean) * inverse.clone();
    let gradient = match nonlinearity {
        Nonlinearity::Identity => gradient,
        Nonlinearity::Relu => {
            let off = (normalized.clone() * weight.clone() + bias).lower_equal_elem(0.0);
            gradient.mask_fill(off, 0.0)
        }
    };
    let along = (gradient.clone() * normalized.clone()).sum_dim(1);
    let total = gradient.clone().sum_dim(1);
    let means = (total.clone() + normalized * along.clone()).div_scalar(voxels as f64);
    let input = (gradient - means) * inverse * weight;
    NormGradients {
        input: primitive(same_type(input.reshape(dims), dtype)),
        weight: primitive(along.sum_dim(0).reshape([c])),
        bias: primitive(total.sum_dim(0).reshape([c])),
    }
}

pub fn dice_ce<B: Backend>(logits: FloatTensor<B>, classes: IntTensor<B>) -> DiceCe<B> {
    let logits = tensor::<B, 5>(logits);
    let [n, x, y, z, k] = logits.dims();
    let voxels = x * y * z;
    let truth = one_hot::<B>(classes, [n, x, y, z], k);
    let logits = single(logits).reshape([n, voxels, k]);
    let shifted = logits.clone() - logits.max_dim(2);
    let exponentials = shifted.clone().exp();
    let sum = exponentials.clone().sum_dim(2);
    let probabilities = exponentials / sum.clone();
    let overlap = (probabilities.clone() * truth.clone()).sum_dim(1);
    let squares = (probabilities.clone() * probabilities).sum_dim(1);
    let present = truth.clone().sum_dim(1);
    let dice = overlap.clone().mul_scalar(-2.0)
        / (squares.clone() + present.clone()).add_scalar(SMOOTH_DENOMINATOR);
    // -log p of the true class is log(sum) - shifted, the former once per voxel.
    let entropy = (sum.log().sum() - (shifted * truth).sum()).div_scalar((n * voxels) as f64);
    DiceCe {
        loss: primitive(dice.mean().add_scalar(1.0) + entropy),
        sums: primitive(Tensor::cat(vec![overlap, squares, present], 1)),
    }
}

pub fn dice_ce_gradient<B: Backend>(
    logits: FloatTensor<B>,
    classes: IntTensor<B>,
    sums: FloatTensor<B>,
    gradient: FloatTensor<B>,
) -> FloatTensor<B> {
    let logits = tensor::<B, 5>(logits);
    let dtype = logits.dtype();
    let dims @ [n, x, y, z, k] = logits.dims();
    let voxels = x * y * z;
    let truth = one_hot::<B>(classes, [n, x, y, z], k);
    let p = burn::tensor::activation::softmax(single(logits).reshape([n, voxels, k]), 2);
    let sums = tensor::<B, 3>(sums);
    let overlap = sums.clone().narrow(1, 0, 1);
    let denominator = sums
        .narrow(1, 1, 2)
        .sum_dim(1)
        .add_scalar(SMOOTH_DENOMINATOR);
    let inverse = denominator.recip();
    // d(1 - 2 I / S)/dp = -2 g / S + 4 I p / S².
    let cases = (n * k) as f64;
    let dice = (overlap * inverse.clone() * p.clone()).mul_scalar(2.0) - truth.clone();
    let by_p = (dice * inverse).mul_scalar(2.0 / cases);
    let through_softmax = p.clone() * (by_p.clone() - (by_p * p.clone()).sum_dim(2));
    let entropy = (p - truth).div_scalar((n * voxels) as f64);
    let factor = tensor::<B, 1>(gradient).reshape([1, 1, 1]);
    let by_logits = (through_softmax + entropy) * factor;
    primitive(same_type(by_logits.reshape(dims), dtype))
}

/// `[N, voxels, K]`: 1 where a voxel of the coarse grid is of the class.
pub(crate) fn one_hot<B: Backend>(
    classes: IntTensor<B>,
    [n, x, y, z]: [usize; 4],
    k: usize,
) -> Tensor<B, 3> {
    let classes = downsample(Tensor::<B, 4, Int>::from_primitive(classes), [x, y, z]);
    let device = classes.device();
    let voxels = x * y * z;
    let indices = Tensor::<B, 1, Int>::arange(0..k as i64, &device).reshape([1, 1, k]);
    single(
        classes
            .reshape([n, voxels, 1])
            .expand([n, voxels, k])
            .equal(indices.expand([n, voxels, k]))
            .float(),
    )
}

/// Picks the class at the center of each coarse voxel.
///
/// **Shapes**: `[N, X', Y', Z']` → `[N, X, Y, Z]`.
///
/// **Definition**: output `i` of `m` takes input `floor((i + 0.5) n / m)` of `n`, along each axis.
///
/// **Source**: PyTorch `interpolate(mode="nearest-exact")`.
pub fn downsample<B: Backend>(classes: Tensor<B, 4, Int>, shape: [usize; 3]) -> Tensor<B, 4, Int> {
    let device = classes.device();
    shape
        .into_iter()
        .enumerate()
        .fold(classes, |classes, (axis, wanted)| {
            let length = classes.dims()[axis + 1];
            if length == wanted {
                return classes;
            }
            let sources: Vec<i32> = (0..wanted)
                .map(|i| ((2 * i + 1) * length / (2 * wanted)) as i32)
                .collect();
            classes.select(axis + 1, Tensor::from_ints(sources.as_slice(), &device))
        })
}

pub fn squared_norm<B: Backend>(tensors: &[FloatTensor<B>]) -> FloatTensor<B> {
    let sums = tensors.iter().map(|values| {
        let count = burn::tensor::TensorMetadata::shape(values).num_elements();
        let flat = tensor::<B, 1>(B::float_reshape(values.clone(), [count].into()));
        (flat.clone() * flat).sum()
    });
    match sums.reduce(|a, b| a + b) {
        Some(total) => primitive(total),
        None => primitive(Tensor::<B, 1>::zeros([1], &B::Device::default())),
    }
}

pub fn read_scalars<B: Backend>(tensors: Vec<FloatTensor<B>>) -> Scalars {
    let read = |scalar| {
        tensor::<B, 1>(scalar)
            .into_data()
            .iter::<f32>()
            .next()
            .unwrap_or(f32::NAN)
    };
    Scalars::new(move || tensors.into_iter().map(read).collect())
}

pub fn adamw<B: Backend>(
    parameters: Vec<Moments<B>>,
    step: AdamWStep,
    guard: Option<FloatTensor<B>>,
) -> Vec<[FloatTensor<B>; 3]> {
    // Without fused kernels, the guard is worth a look from the host.
    let squares = guard.and_then(|guard| tensor::<B, 1>(guard).into_data().iter::<f32>().next());
    let proceed = squares.is_none_or(f32::is_finite);
    let factor = step.factor(squares);
    let [first_correction, second_correction] = step.corrections();
    let [beta_1, beta_2] = step.betas;
    let update = |parameter: Moments<B>| {
        if !proceed {
            return [parameter.weights, parameter.first, parameter.second];
        }
        let shape = burn::tensor::TensorMetadata::shape(&parameter.weights);
        let flat = |values: FloatTensor<B>| {
            tensor::<B, 1>(B::float_reshape(values, [shape.num_elements()].into()))
        };
        let gradient = flat(parameter.gradient).mul_scalar(factor);
        let first =
            flat(parameter.first).mul_scalar(beta_1) + gradient.clone().mul_scalar(1.0 - beta_1);
        let second = flat(parameter.second).mul_scalar(beta_2)
            + (gradient.clone() * gradient).mul_scalar(1.0 - beta_2);
        let direction = first.clone().mul_scalar(first_correction)
            / second
                .clone()
                .mul_scalar(second_correction)
                .sqrt()
                .add_scalar(step.epsilon);
        let weights = flat(parameter.weights).mul_scalar(1.0 - step.rate * step.decay)
            - direction.mul_scalar(step.rate);
        [weights, first, second].map(|values| B::float_reshape(primitive(values), shape.clone()))
    };
    parameters.into_iter().map(update).collect()
}

/// The tensor in `f32`.
pub(crate) fn single<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> Tensor<B, D> {
    same_type(tensor, DType::F32)
}

fn same_type<B: Backend, const D: usize>(tensor: Tensor<B, D>, dtype: DType) -> Tensor<B, D> {
    if tensor.dtype() == dtype {
        return tensor;
    }
    tensor.cast(FloatDType::from(dtype))
}
