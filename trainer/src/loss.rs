//! Training loss: Dice plus cross entropy or focal loss of every output, with deep supervision where there are several.

mod focal;
mod masks;
mod regions;

pub use focal::{region_dice_focal, weighted_dice_focal};
pub use regions::region_dice_ce;

use burn::tensor::{Int, Tensor};
use vesal_bundle::deploy_plan::Activation;
use vesal_kernels::{DifferentiableOps, dice_ce, dice_focal, weighted_dice_ce};

use crate::algorithms::Loss;

/// Least weight of a coarse output.
const LEAST_WEIGHT: f64 = 0.0625;

/// The loss function of a network.
#[derive(Debug, Clone)]
pub struct Objective {
    pub loss: Loss,
    /// Activation that turns logits into labels.
    pub activation: Activation,
    /// Weight of each class; `None`: equal weights.
    pub class_weights: Option<Vec<f64>>,
}

/// Sums the loss over all outputs of a network; each coarser output has half the weight of the previous one.
///
/// **Shapes**: logits `[N, X, Y, Z, K]`, finest first; class indices, or regions as bits, `[N, X, Y, Z]` at the finest
/// shape.
///
/// **Definition**: of every output, [`dice_ce`] or [`dice_focal`]; where classes have weights, [`weighted_dice_ce`] or
/// [`weighted_dice_focal`]; for regions, [`region_dice_ce`] or [`region_dice_focal`]; computed per case, or over the batch as
/// if it were one case. The weights of levels are `max(0.5^level, 0.0625)`, not normalized.
///
/// **Source**: MONAI 1.6.1 `DeepSupervisionLoss`.
pub fn deep_supervision<B: DifferentiableOps>(
    outputs: Vec<Tensor<B, 5>>,
    classes: Tensor<B, 4, Int>,
    objective: &Objective,
) -> Tensor<B, 1> {
    let device = classes.device();
    let batch = objective.loss.joins_cases();
    let [n, x, y, z] = classes.dims();
    let classes = match batch {
        true => classes.reshape([1, n * x, y, z]),
        false => classes,
    };
    outputs
        .into_iter()
        .enumerate()
        .map(|(level, logits)| {
            let logits = match batch {
                true => as_one_case(logits),
                false => logits,
            };
            let weight = 0.5f64.powi(level as i32).max(LEAST_WEIGHT);
            let loss = of_output(logits, classes.clone(), objective);
            loss.mul_scalar(weight)
        })
        .reduce(|sum, loss| sum + loss)
        .unwrap_or_else(|| Tensor::zeros([1], &device))
}

fn of_output<B: DifferentiableOps>(
    logits: Tensor<B, 5>,
    classes: Tensor<B, 4, Int>,
    objective: &Objective,
) -> Tensor<B, 1> {
    let weights = objective.class_weights.as_deref();
    match (objective.loss, objective.activation, weights) {
        (Loss::DiceCe { .. }, Activation::Sigmoid, _) => region_dice_ce(logits, classes, weights),
        (Loss::DiceCe { .. }, Activation::Softmax, None) => dice_ce(logits, classes),
        (Loss::DiceCe { .. }, Activation::Softmax, Some(weights)) => {
            weighted_dice_ce(logits, classes, weights)
        }
        (Loss::DiceFocal, Activation::Sigmoid, _) => region_dice_focal(logits, classes, weights),
        (Loss::DiceFocal, Activation::Softmax, None) => dice_focal(logits, classes),
        (Loss::DiceFocal, Activation::Softmax, Some(weights)) => {
            weighted_dice_focal(logits, classes, weights)
        }
    }
}

/// Joins the cases of a batch along the first axis, `[N, X, Y, Z, K]` → `[1, N X, Y, Z, K]`. Sums over voxels then
/// cover all cases, and the class at the center of a coarse voxel is still that of its own case.
fn as_one_case<B: DifferentiableOps>(logits: Tensor<B, 5>) -> Tensor<B, 5> {
    let [n, x, y, z, classes] = logits.dims();
    logits.reshape([1, n * x, y, z, classes])
}
