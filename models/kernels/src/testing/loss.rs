//! Losses.

use burn::tensor::TensorData;
use burn::tensor::ops::{FloatTensor, IntTensor};
use burn_flex::Flex;

use super::{Numbers, assert_close, float, int, values};
use crate::backend_ops::BackendOps;
use crate::reference;
use crate::results::VoxelLoss;

type Loss<B> = fn(FloatTensor<B>, IntTensor<B>) -> VoxelLoss<B>;
type LossGradient<B> =
    fn(FloatTensor<B>, IntTensor<B>, FloatTensor<B>, FloatTensor<B>) -> FloatTensor<B>;

/// Dice plus cross entropy, and its gradient.
pub fn check_dice_ce<B: BackendOps>(tolerance: f32) {
    let actual: (Loss<B>, LossGradient<B>) = (B::dice_ce, B::dice_ce_gradient);
    let expected: (Loss<Flex>, LossGradient<Flex>) = (
        reference::dice_ce::<Flex>,
        reference::dice_ce_gradient::<Flex>,
    );
    check_loss(actual, expected, tolerance);
}

/// Dice plus focal loss, and its gradient.
pub fn check_dice_focal<B: BackendOps>(tolerance: f32) {
    let actual: (Loss<B>, LossGradient<B>) = (B::dice_focal, B::dice_focal_gradient);
    let expected: (Loss<Flex>, LossGradient<Flex>) = (
        reference::dice_focal::<Flex>,
        reference::dice_focal_gradient::<Flex>,
    );
    check_loss(actual, expected, tolerance);
}

/// A loss and its gradient, on grids as fine as the logits and finer.
fn check_loss<B: BackendOps>(
    (loss, loss_gradient): (Loss<B>, LossGradient<B>),
    (reference_loss, reference_gradient): (Loss<Flex>, LossGradient<Flex>),
    tolerance: f32,
) {
    let cases = [
        ([1, 1, 1, 1], [1, 1, 1], 2),
        ([2, 4, 5, 3], [4, 5, 3], 3),
        ([1, 4, 5, 3], [8, 10, 7], 5),
        ([2, 20, 11, 13], [20, 11, 13], 14),
        ([1, 3, 3, 3], [5, 6, 3], 1),
    ];
    for (shape @ [n, x, y, z], fine, k) in cases {
        let what = |of: &str| format!("{of} of {shape:?} {fine:?} {k}");
        let mut numbers = Numbers::new(k as u64);
        let logits: Vec<f32> = (0..n * x * y * z * k)
            .map(|_| 6.0 * numbers.float())
            .collect();
        let logits = TensorData::new(logits, [n, x, y, z, k]);
        let classes = numbers.classes([n, fine[0], fine[1], fine[2]], k);
        let factor = TensorData::from([0.7_f32]);
        let actual = loss(float::<B>(&logits), int::<B>(&classes));
        let expected = reference_loss(float::<Flex>(&logits), int::<Flex>(&classes));
        let sums = expected.sums.clone();
        // The loss of a single class consists of rounding errors.
        let [loss, expected_loss] =
            [values::<B>(actual.loss), values::<Flex>(expected.loss)].map(|loss| [loss[0], 1.0]);
        assert_close(&what("loss"), &loss, &expected_loss, tolerance);
        let (sums_here, expected_sums) = (
            values::<B>(actual.sums.clone()),
            values::<Flex>(expected.sums),
        );
        assert_close(&what("sums"), &sums_here, &expected_sums, tolerance);
        let gradient = loss_gradient(
            float::<B>(&logits),
            int::<B>(&classes),
            actual.sums,
            float::<B>(&factor),
        );
        let expected = reference_gradient(
            float::<Flex>(&logits),
            int::<Flex>(&classes),
            sums,
            float::<Flex>(&factor),
        );
        let expected = values::<Flex>(expected);
        assert_close(
            &what("gradient"),
            &values::<B>(gradient),
            &expected,
            tolerance,
        );
    }
}
