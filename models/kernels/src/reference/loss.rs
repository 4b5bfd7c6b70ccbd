//! Dice loss plus cross entropy or focal loss.

use burn::tensor::activation::{sigmoid, softmax};
use burn::tensor::backend::Backend;
use burn::tensor::ops::{FloatTensor, IntTensor};
use burn::tensor::{DType, Int, Tensor};

use super::tensors::{same_type, single};
use crate::float_tensors::{primitive, tensor};
use crate::results::VoxelLoss;

/// Keeps the Dice loss of an absent class finite.
pub const SMOOTH_DENOMINATOR: f64 = 1e-5;

/// Added to twice the overlap in the Dice loss beside the focal loss.
pub const FOCAL_SMOOTH_NUMERATOR: f64 = 1e-5;

pub fn dice_ce<B: Backend>(logits: FloatTensor<B>, classes: IntTensor<B>) -> VoxelLoss<B> {
    let Voxels { logits, truth, .. } = Voxels::<B>::new(logits, classes);
    let [n, voxels, _] = logits.dims();
    let shifted = logits.clone() - logits.max_dim(2);
    let exponentials = shifted.clone().exp();
    let sum = exponentials.clone().sum_dim(2);
    let (dice, sums) = dice(exponentials / sum.clone(), truth.clone(), 0.0);
    // -log p of the true class is log(sum) - shifted, the former once per voxel.
    let entropy = (sum.log().sum() - (shifted * truth).sum()).div_scalar((n * voxels) as f64);
    VoxelLoss {
        loss: primitive(dice + entropy),
        sums,
    }
}

pub fn dice_ce_gradient<B: Backend>(
    logits: FloatTensor<B>,
    classes: IntTensor<B>,
    sums: FloatTensor<B>,
    gradient: FloatTensor<B>,
) -> FloatTensor<B> {
    let voxels = Voxels::<B>::new(logits, classes);
    let [n, count, _] = voxels.logits.dims();
    let p = softmax(voxels.logits.clone(), 2);
    let entropy = (p.clone() - voxels.truth.clone()).div_scalar((n * count) as f64);
    let by_logits = dice_gradient(p, voxels.truth.clone(), sums, 0.0) + entropy;
    voxels.gradient(by_logits, gradient)
}

pub fn dice_focal<B: Backend>(logits: FloatTensor<B>, classes: IntTensor<B>) -> VoxelLoss<B> {
    let Voxels { logits, truth, .. } = Voxels::<B>::new(logits, classes);
    let p = softmax(logits.clone(), 2);
    let (dice, sums) = dice(p, truth.clone(), FOCAL_SMOOTH_NUMERATOR);
    let doubt = against(logits, &truth);
    let wrong = sigmoid(doubt.clone());
    let focal = (wrong.clone() * wrong * softplus(doubt)).mean();
    VoxelLoss {
        loss: primitive(dice + focal),
        sums,
    }
}

pub fn dice_focal_gradient<B: Backend>(
    logits: FloatTensor<B>,
    classes: IntTensor<B>,
    sums: FloatTensor<B>,
    gradient: FloatTensor<B>,
) -> FloatTensor<B> {
    let voxels = Voxels::<B>::new(logits, classes);
    let (logits, truth) = (voxels.logits.clone(), voxels.truth.clone());
    let [n, count, k] = logits.dims();
    let p = softmax(logits.clone(), 2);
    let doubt = against(logits, &truth);
    let wrong = sigmoid(doubt.clone());
    // d(s² log(1 + eᵘ))/du = s² (2 (1 - s) log(1 + eᵘ) + s) for s = sigmoid(u), and u falls where the logit of the true
    // class grows.
    let right = wrong.clone().neg().add_scalar(1.0);
    let slope = right * softplus(doubt).mul_scalar(2.0) + wrong.clone();
    let slope = wrong.clone() * wrong * slope;
    let focal = against(slope, &truth).div_scalar((n * count * k) as f64);
    let by_logits = dice_gradient(p, truth, sums, FOCAL_SMOOTH_NUMERATOR) + focal;
    voxels.gradient(by_logits, gradient)
}

/// Logits and truth by voxel.
struct Voxels<B: Backend> {
    /// `[N, voxels, K]`, `f32`.
    logits: Tensor<B, 3>,
    /// One-hot, of the same shape.
    truth: Tensor<B, 3>,
    shape: [usize; 5],
    dtype: DType,
}

impl<B: Backend> Voxels<B> {
    fn new(logits: FloatTensor<B>, classes: IntTensor<B>) -> Self {
        let logits = tensor::<B, 5>(logits);
        let dtype = logits.dtype();
        let shape @ [n, x, y, z, k] = logits.dims();
        Self {
            truth: one_hot::<B>(classes, [n, x, y, z], k),
            logits: single(logits).reshape([n, x * y * z, k]),
            shape,
            dtype,
        }
    }

    /// The gradient times that of the loss, in shape and type of the logits.
    fn gradient(self, by_logits: Tensor<B, 3>, of_loss: FloatTensor<B>) -> FloatTensor<B> {
        let factor = tensor::<B, 1>(of_loss).reshape([1, 1, 1]);
        let gradient = (by_logits * factor).reshape(self.shape);
        primitive(same_type(gradient, self.dtype))
    }
}

/// The mean Dice loss over cases and classes, and its sums, `[N, 3, K]`.
fn dice<B: Backend>(
    p: Tensor<B, 3>,
    truth: Tensor<B, 3>,
    smooth_numerator: f64,
) -> (Tensor<B, 1>, FloatTensor<B>) {
    let overlap = (p.clone() * truth.clone()).sum_dim(1);
    let squares = (p.clone() * p).sum_dim(1);
    let present = truth.sum_dim(1);
    let dice = overlap
        .clone()
        .mul_scalar(-2.0)
        .sub_scalar(smooth_numerator)
        / (squares.clone() + present.clone()).add_scalar(SMOOTH_DENOMINATOR);
    let sums = Tensor::cat(vec![overlap, squares, present], 1);
    (dice.mean().add_scalar(1.0), primitive(sums))
}

/// Gradient of [`dice`] with respect to the logits, through the softmax.
fn dice_gradient<B: Backend>(
    p: Tensor<B, 3>,
    truth: Tensor<B, 3>,
    sums: FloatTensor<B>,
    smooth_numerator: f64,
) -> Tensor<B, 3> {
    let [n, _, k] = p.dims();
    let sums = tensor::<B, 3>(sums);
    let numerator = sums
        .clone()
        .narrow(1, 0, 1)
        .mul_scalar(2.0)
        .add_scalar(smooth_numerator);
    let denominator = sums
        .narrow(1, 1, 2)
        .sum_dim(1)
        .add_scalar(SMOOTH_DENOMINATOR);
    let inverse = denominator.recip();
    // d(1 - I / S)/dp = -2 g / S + 2 I p / S².
    let by_p = numerator * inverse.clone() * p.clone() - truth;
    let by_p = (by_p * inverse).mul_scalar(2.0 / (n * k) as f64);
    p.clone() * (by_p.clone() - (by_p * p).sum_dim(2))
}

/// The values with their signs turned where a class is the true one.
fn against<B: Backend>(values: Tensor<B, 3>, truth: &Tensor<B, 3>) -> Tensor<B, 3> {
    values * truth.clone().mul_scalar(-2.0).add_scalar(1.0)
}

/// `log(1 + eˣ)`.
fn softplus<B: Backend>(x: Tensor<B, 3>) -> Tensor<B, 3> {
    x.clone().clamp_min(0.0) + x.abs().neg().exp().log1p()
}

/// `[N, voxels, K]`: 1 where a voxel of the coarse grid is of the class.
pub fn one_hot<B: Backend>(
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
