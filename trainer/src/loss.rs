//! Training loss: Dice plus cross entropy, on every deep supervision output.

mod regions;

pub use regions::region_dice_ce;

use burn::tensor::{Int, Tensor};
use vesal_bundle::deploy_plan::Activation;
use vesal_kernels::{DifferentiableOps, dice_ce, weighted_dice_ce};

/// Least weight of a coarse output.
const LEAST_WEIGHT: f64 = 0.0625;

/// Sums the loss over all outputs of a network, each coarser one with half the weight of the one before.
///
/// **Shapes**: logits `[N, X, Y, Z, K]`, finest first; class indices, or regions as bits, `[N, X, Y, Z]` at the finest
/// shape.
///
/// **Definition**: [`dice_ce`] of every output, [`weighted_dice_ce`] where classes have weights, or [`region_dice_ce`];
/// weights of levels `max(0.5^level, 0.0625)`, not normalized.
///
/// **Source**: MONAI 1.6.1 `DeepSupervisionLoss`.
pub fn deep_supervision<B: DifferentiableOps>(
    outputs: Vec<Tensor<B, 5>>,
    classes: Tensor<B, 4, Int>,
    activation: Activation,
    class_weights: Option<&[f64]>,
) -> Tensor<B, 1> {
    let device = classes.device();
    outputs
        .into_iter()
        .enumerate()
        .map(|(level, logits)| {
            let weight = 0.5f64.powi(level as i32).max(LEAST_WEIGHT);
            let loss = match (activation, class_weights) {
                (Activation::Sigmoid, weights) => region_dice_ce(logits, classes.clone(), weights),
                (Activation::Softmax, None) => dice_ce(logits, classes.clone()),
                (Activation::Softmax, Some(weights)) => {
                    weighted_dice_ce(logits, classes.clone(), weights)
                }
            };
            loss.mul_scalar(weight)
        })
        .reduce(|sum, loss| sum + loss)
        .unwrap_or_else(|| Tensor::zeros([1], &device))
}
