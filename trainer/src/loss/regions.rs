//! The loss of regions that may overlap.

use burn::tensor::activation::{log_sigmoid, sigmoid};
use burn::tensor::backend::Backend;
use burn::tensor::{FloatDType, Int, Tensor};
use vesal_kernels::downsample;

use super::masks::region_masks;

/// Keeps Dice defined where a region is neither present nor predicted.
const SMOOTH_DENOMINATOR: f64 = 1e-5;

/// Dice loss plus binary cross entropy of every region by itself, `[1]`, `f32`.
///
/// **Shapes**: `logits` `[N, X, Y, Z, R]`; `regions` `[N, X', Y', Z']`, bit `r` set where a voxel belongs to region `r`.
/// Regions on a finer grid are taken at the center of each coarse voxel, see [`downsample`].
///
/// **Definition**: with `p = sigmoid(logits)` and the truth `g`, the mean over cases and regions of
/// `1 - 2 Σ p g / (Σ p² + Σ g² + 1e-5)`, sums running over voxels; plus the mean over voxels and regions of
/// `-g log p - (1 - g) log(1 - p)`. Weights multiply both terms of their region.
///
/// **Source**: MONAI 1.6.1 `DiceCELoss(sigmoid=True, squared_pred=True, smooth_nr=0, smooth_dr=1e-5)` with one region.
/// With several regions, `DiceCELoss` uses the cross entropy of a softmax, under which regions compete for voxels that
/// belong to all of them; here each region has its own binary cross entropy, as in nnU-Net's region-based training.
pub fn region_dice_ce<B: Backend>(
    logits: Tensor<B, 5>,
    regions: Tensor<B, 4, Int>,
    weights: Option<&[f64]>,
) -> Tensor<B, 1> {
    let [n, x, y, z, count] = logits.dims();
    let shape = [n, x * y * z, count];
    let logits = logits.cast(FloatDType::F32).reshape(shape);
    let truth = region_masks(downsample(regions, [x, y, z]), shape);
    let p = sigmoid(logits.clone());
    let overlap = (p.clone() * truth.clone()).sum_dim(1);
    let squares = (p.clone() * p).sum_dim(1);
    let sizes = squares + truth.clone().sum_dim(1);
    let dice = overlap.mul_scalar(-2.0) / sizes.add_scalar(SMOOTH_DENOMINATOR);
    // -log(1 - p) without overflow.
    let entropy = log_sigmoid(logits.clone().neg()).neg() - logits.clone() * truth;
    let dice = dice.add_scalar(1.0);
    match weights {
        None => dice.mean() + entropy.mean(),
        Some(weights) => {
            let weights: Vec<f32> = weights.iter().map(|weight| *weight as f32).collect();
            let weights = Tensor::<B, 1>::from_floats(weights.as_slice(), &logits.device());
            let weights = weights.cast(FloatDType::F32).reshape([1, 1, count]);
            (dice * weights.clone()).mean() + (entropy * weights).mean()
        }
    }
}
