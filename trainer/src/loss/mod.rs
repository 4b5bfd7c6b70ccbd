//! Training loss: Dice plus cross entropy, on every deep supervision output.

use burn::tensor::backend::Backend;
use burn::tensor::{Int, Tensor};

/// Keeps the Dice loss of an absent class finite.
const SMOOTH_DENOMINATOR: f64 = 1e-5;
/// Least weight of a coarse output.
const LEAST_WEIGHT: f64 = 0.0625;

/// Dice loss plus cross entropy of logits against class indices.
///
/// **Shapes**: logits `[N, K, X, Y, Z]`, class indices `[N, X, Y, Z]` in `0..K` → a single value.
///
/// **Definition**: with `p = softmax(logits)` and the one-hot truth `g`, the mean over cases and classes, background
/// included, of `1 - 2 Σ p g / (Σ p² + Σ g² + 1e-5)`, sums running over voxels; plus the mean over voxels of
/// `-log p` of the true class.
///
/// **Source**: MONAI 1.6.1 `DiceCELoss(softmax=True, squared_pred=True, smooth_nr=0, smooth_dr=1e-5)`.
pub fn dice_ce<B: Backend>(logits: Tensor<B, 5>, classes: Tensor<B, 4, Int>) -> Tensor<B, 1> {
    let [n, k, x, y, z] = logits.dims();
    let voxels = x * y * z;
    let logits = logits.reshape([n, k, voxels]);
    let indices = Tensor::<B, 1, Int>::arange(0..k as i64, &logits.device()).reshape([1, k, 1]);
    let truth = classes
        .reshape([n, 1, voxels])
        .expand([n, k, voxels])
        .equal(indices.expand([n, k, voxels]))
        .float();

    let max = logits.clone().detach().max_dim(1);
    let shifted = logits - max;
    let exponentials = shifted.clone().exp();
    let sum = exponentials.clone().sum_dim(1);
    let probabilities = exponentials / sum.clone();

    let overlap = (probabilities.clone() * truth.clone()).sum_dim(2);
    let squares = (probabilities.clone() * probabilities).sum_dim(2) + truth.clone().sum_dim(2);
    let dice = overlap.mul_scalar(-2.0) / squares.add_scalar(SMOOTH_DENOMINATOR);
    // -log p of the true class is log(sum) - shifted, the former once per voxel.
    let entropy = (sum.log().sum() - (shifted * truth).sum()).div_scalar((n * voxels) as f64);
    dice.mean().add_scalar(1.0) + entropy
}

/// Sums the loss over all outputs of a network, each coarser one with half the weight of the one before.
///
/// **Shapes**: logits `[N, K, X, Y, Z]`, finest first; class indices `[N, X, Y, Z]` at the finest shape.
///
/// **Definition**: weights `max(0.5^level, 0.0625)`, not normalized; classes are downsampled by
/// [`downsample_classes`].
///
/// **Source**: MONAI 1.6.1 `DeepSupervisionLoss`.
pub fn deep_supervision<B: Backend>(
    outputs: Vec<Tensor<B, 5>>,
    classes: Tensor<B, 4, Int>,
) -> Tensor<B, 1> {
    let device = classes.device();
    outputs
        .into_iter()
        .enumerate()
        .fold(Tensor::zeros([1], &device), |sum, (level, logits)| {
            let [_, _, x, y, z] = logits.dims();
            let weight = 0.5f64.powi(level as i32).max(LEAST_WEIGHT);
            sum + dice_ce(logits, downsample_classes(classes.clone(), [x, y, z])).mul_scalar(weight)
        })
}

/// Picks the class at the center of each coarse voxel.
///
/// **Definition**: output `i` of `m` takes input `floor((i + 0.5) n / m)` of `n`, per axis.
///
/// **Source**: PyTorch `interpolate(mode="nearest-exact")`.
pub fn downsample_classes<B: Backend>(
    classes: Tensor<B, 4, Int>,
    shape: [usize; 3],
) -> Tensor<B, 4, Int> {
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

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;
    use burn_flex::Flex;

    use super::*;

    #[test]
    fn classes_are_taken_at_voxel_centers() {
        let pick = |from: usize, to: usize| {
            let classes = Tensor::<Flex, 1, Int>::arange(0..from as i64, &Default::default())
                .reshape([1, from, 1, 1]);
            downsample_classes(classes, [to, 1, 1])
                .into_data()
                .iter::<i32>()
                .collect::<Vec<_>>()
        };
        assert_eq!(pick(6, 3), [1, 3, 5]);
        assert_eq!(pick(5, 7), [0, 1, 1, 2, 3, 3, 4]);
        assert_eq!(pick(8, 2), [2, 6]);
        assert_eq!(pick(4, 4), [0, 1, 2, 3]);
    }

    #[test]
    fn certainty_costs_nothing_when_right_and_stays_finite_when_wrong() {
        let device = Default::default();
        let logits = |right: f32| {
            let data = TensorData::new(vec![right, -right, -right, right], [1, 2, 2, 1, 1]);
            Tensor::<Flex, 5>::from_data(data, &device)
        };
        let classes = || {
            Tensor::<Flex, 4, Int>::from_data(TensorData::new(vec![0i32, 1], [1, 2, 1, 1]), &device)
        };
        let right: f32 = dice_ce(logits(500.0), classes()).into_scalar();
        let wrong: f32 = dice_ce(logits(-500.0), classes()).into_scalar();
        assert!(right.abs() < 1e-5, "{right}");
        assert!((wrong - 1001.0).abs() < 1e-2, "{wrong}");
    }
}
