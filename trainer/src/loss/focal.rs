//! Dice plus focal loss, in Burn's own operations.

use burn::tensor::activation::{log_sigmoid, sigmoid, softmax};
use burn::tensor::backend::Backend;
use burn::tensor::{FloatDType, Int, Tensor};
use vesal_kernels::downsample;

use super::masks::region_masks;

/// Keeps Dice defined where a class is neither present nor predicted: such a class has no loss.
const SMOOTH: f64 = 1e-5;

/// As [`dice_focal`](vesal_kernels::dice_focal), with a weight for each class, by which both of its terms are multiplied.
///
/// **Shapes**: as [`dice_focal`](vesal_kernels::dice_focal); a weight for each of the `K` classes.
///
/// **Source**: MONAI 1.6.1 `DiceFocalLoss(weight=…)`.
pub fn weighted_dice_focal<B: Backend>(
    logits: Tensor<B, 5>,
    classes: Tensor<B, 4, Int>,
    weights: &[f64],
) -> Tensor<B, 1> {
    let [n, x, y, z, k] = logits.dims();
    let shape = [n, x * y * z, k];
    let logits = logits.cast(FloatDType::F32).reshape(shape);
    let indices = Tensor::<B, 1, Int>::arange(0..k as i64, &classes.device()).reshape([1, 1, k]);
    let truth = downsample(classes, [x, y, z])
        .reshape([n, x * y * z, 1])
        .expand(shape)
        .equal(indices.expand(shape))
        .float()
        .cast(FloatDType::F32);
    let p = softmax(logits.clone(), 2);
    dice_and_focal(p, logits, truth, Some(weights))
}

/// Dice loss plus focal loss, of regions that may overlap, `[1]`, `f32`.
///
/// **Shapes**: `logits` `[N, X, Y, Z, R]`; `regions` `[N, X', Y', Z']`, bit `r` set where a voxel belongs to region `r`.
///
/// **Definition**: that of [`dice_focal`](vesal_kernels::dice_focal) with `p = sigmoid(logits)`. Weights multiply both terms
/// of their region.
///
/// **Source**: MONAI 1.6.1 `DiceFocalLoss(sigmoid=True, squared_pred=True, smooth_nr=1e-5, smooth_dr=1e-5)`.
pub fn region_dice_focal<B: Backend>(
    logits: Tensor<B, 5>,
    regions: Tensor<B, 4, Int>,
    weights: Option<&[f64]>,
) -> Tensor<B, 1> {
    let [n, x, y, z, count] = logits.dims();
    let shape = [n, x * y * z, count];
    let logits = logits.cast(FloatDType::F32).reshape(shape);
    let truth = region_masks(downsample(regions, [x, y, z]), shape);
    dice_and_focal(sigmoid(logits.clone()), logits, truth, weights)
}

/// The loss of probabilities `p` and logits, `[N, voxels, K]`.
fn dice_and_focal<B: Backend>(
    p: Tensor<B, 3>,
    logits: Tensor<B, 3>,
    truth: Tensor<B, 3>,
    weights: Option<&[f64]>,
) -> Tensor<B, 1> {
    let overlap = (p.clone() * truth.clone()).sum_dim(1);
    let sizes = (p.clone() * p).sum_dim(1) + truth.clone().sum_dim(1);
    let dice = overlap.mul_scalar(2.0).add_scalar(SMOOTH) / sizes.add_scalar(SMOOTH);
    let dice = dice.neg().add_scalar(1.0);
    // The logit of q: that of the class where it is true, its negative elsewhere.
    let of_truth = logits * truth.mul_scalar(2.0).sub_scalar(1.0);
    let logarithm = log_sigmoid(of_truth.clone());
    // 1 - q without cancellation.
    let missing = sigmoid(of_truth.neg());
    let focal = (missing.clone() * missing * logarithm).neg();
    match weights {
        None => dice.mean() + focal.mean(),
        Some(weights) => {
            let weights: Vec<f32> = weights.iter().map(|weight| *weight as f32).collect();
            let weights = Tensor::<B, 1>::from_floats(weights.as_slice(), &dice.device());
            let count = weights.dims()[0];
            let weights = weights.cast(FloatDType::F32).reshape([1, 1, count]);
            (dice * weights.clone()).mean() + (focal * weights).mean()
        }
    }
}
