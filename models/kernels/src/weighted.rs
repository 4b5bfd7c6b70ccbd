//! Dice plus cross entropy with a weight for each class.

use burn::tensor::activation::log_softmax;
use burn::tensor::backend::Backend;
use burn::tensor::{Int, Tensor};

use crate::reference::{SMOOTH_DENOMINATOR, one_hot, single};

/// As [`dice_ce`](crate::dice_ce()), with a weight for each class.
///
/// Computed in Burn's own operations, gradients included, which are slower than the fused loss.
///
/// **Shapes**: as [`dice_ce`](crate::dice_ce()); a weight for each of the `K` classes.
///
/// **Definition**: the mean over cases and classes of weight times Dice loss; plus the mean over voxels of `-log p` of
/// the true class, weighted by that class: a sum over voxels divided by the sum of their weights, 0 where that is 0.
///
/// **Source**: MONAI 1.6.1 `DiceCELoss(weight=…)`; PyTorch `CrossEntropyLoss(weight=…)`, which is NaN where all weights
/// are 0.
pub fn weighted_dice_ce<B: Backend>(
    logits: Tensor<B, 5>,
    classes: Tensor<B, 4, Int>,
    weights: &[f64],
) -> Tensor<B, 1> {
    let [n, x, y, z, k] = logits.dims();
    let voxels = x * y * z;
    let weights: Vec<f32> = weights.iter().map(|weight| *weight as f32).collect();
    let weights = Tensor::<B, 1>::from_floats(weights.as_slice(), &logits.device());
    let weights = weights.reshape([1, 1, k]);
    let truth = one_hot::<B>(classes.into_primitive(), [n, x, y, z], k);
    let logarithms = log_softmax(single(logits).reshape([n, voxels, k]), 2);
    let p = logarithms.clone().exp();
    let overlap = (p.clone() * truth.clone()).sum_dim(1);
    let sizes = (p.clone() * p).sum_dim(1) + truth.clone().sum_dim(1);
    let dice = overlap.mul_scalar(-2.0) / sizes.add_scalar(SMOOTH_DENOMINATOR);
    let dice = (dice.add_scalar(1.0) * weights.clone()).mean();
    let by_voxel = truth * weights;
    let total = by_voxel.clone().sum().clamp_min(f32::MIN_POSITIVE);
    dice - (logarithms * by_voxel).sum() / total
}
