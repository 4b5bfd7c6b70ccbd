//! Dice loss plus cross entropy.

use burn::tensor::backend::Backend;
use burn::tensor::ops::{FloatTensor, IntTensor};
use burn::tensor::{Int, Tensor};

use super::tensors::{primitive, same_type, single, tensor};
use crate::results::DiceCe;

/// Keeps the Dice loss of an absent class finite.
pub const SMOOTH_DENOMINATOR: f64 = 1e-5;

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
