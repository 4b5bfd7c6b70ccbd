//! Loss and learning rate compared with MONAI.

use burn::backend::Autodiff;
use burn::tensor::{Int, Tensor, TensorData};
use burn_flex::Flex;
use serde_json::Value;
use vesal_bundle::deploy_plan::Activation;
use vesal_kernels::dice_ce;
use vesal_trainer::algorithms::Loss;
use vesal_trainer::loss::{Objective, deep_supervision, region_dice_ce};
use vesal_trainer::schedule::warmup_cosine;

use crate::shared;

const TOLERANCE: f64 = 1e-5;
/// Expected loss in `the_loss_of_regions_is_that_of_each_by_itself`; below, its gradient at some logits by row-major
/// index.
const REGION_LOSS: f64 = 1.095_955_6;
const REGION_GRADIENT: [(usize, f32); 5] = [
    (0, 0.007_267_139),
    (1, 0.009_447_484),
    (17, -0.011_358_913),
    (50, 0.005_790_654_6),
    (95, 0.005_447_231_2),
];

pub(crate) fn numbers(array: &Value) -> Vec<f32> {
    array["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|value| value.as_f64().unwrap() as f32)
        .collect()
}

pub(crate) fn shape(array: &Value) -> Vec<usize> {
    array["shape"]
        .as_array()
        .unwrap()
        .iter()
        .map(|value| value.as_u64().unwrap() as usize)
        .collect()
}

pub(crate) fn logits(array: &Value) -> Tensor<Autodiff<Flex>, 5> {
    let data = TensorData::new(numbers(array), shape(array));
    Tensor::from_data(data, &Default::default()).require_grad()
}

pub(crate) fn channels_last(logits: Tensor<Autodiff<Flex>, 5>) -> Tensor<Autodiff<Flex>, 5> {
    logits.permute([0, 2, 3, 4, 1])
}

/// Class indices of `[N, 1, X, Y, Z]` in the file.
pub(crate) fn classes(array: &Value) -> Tensor<Autodiff<Flex>, 4, Int> {
    let [n, _, x, y, z] = shape(array).try_into().unwrap();
    let classes: Vec<i32> = numbers(array)
        .into_iter()
        .map(|value| value as i32)
        .collect();
    Tensor::from_data(TensorData::new(classes, [n, x, y, z]), &Default::default())
}

#[test]
fn golden_losses() {
    let cases = shared::cases("losses.json");
    for (index, case) in cases.iter().enumerate() {
        let expected = case["loss"].as_f64().unwrap();
        let target = classes(&case["target"]);
        let found = match case["kind"].as_str().unwrap() {
            "dice_ce_softmax" => {
                let input = logits(&case["logits"]);
                let loss = dice_ce(channels_last(input.clone()), target);
                let gradient = input
                    .grad(&loss.backward())
                    .unwrap()
                    .into_data()
                    .into_vec::<f32>()
                    .unwrap();
                let expected = numbers(&case["gradient"]);
                assert_eq!(gradient.len(), expected.len());
                for (voxel, (found, expected)) in gradient.iter().zip(expected).enumerate() {
                    let difference = f64::from((found - expected).abs());
                    assert!(
                        difference <= TOLERANCE,
                        "case {index}, gradient {voxel}: {found}, not {expected}"
                    );
                }
                loss
            }
            "deep_supervision" => deep_supervision(
                case["logits"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|array| channels_last(logits(array)))
                    .collect(),
                target,
                &objective(false),
            ),
            other => panic!("unknown kind {other}"),
        };
        let found = f64::from(found.into_scalar());
        assert!(
            (found - expected).abs() <= TOLERANCE,
            "case {index}: {found}, not {expected}"
        );
    }
}

/// Values of MONAI 1.6.1's `DiceCELoss(sigmoid=True, squared_pred=True, smooth_nr=0, smooth_dr=1e-5)` in single
/// precision, one call per region: `logits = sin(0.7 i)`, the truth as in the test. Dice is the mean over regions of
/// such calls, and so is the binary cross entropy.
#[test]
fn the_loss_of_regions_is_that_of_each_by_itself() {
    type B = Autodiff<Flex>;
    let device = Default::default();
    let logits: Vec<f32> = (0..96).map(|i| (0.7 * i as f32).sin()).collect();
    let logits = Tensor::<B, 1>::from_floats(logits.as_slice(), &device)
        .reshape([2, 2, 3, 4, 2])
        .require_grad();
    let bits: Vec<i32> = (0..48).map(|i| (i * 7 / 3) % 4).collect();
    let bits = Tensor::<B, 1, Int>::from_ints(bits.as_slice(), &device).reshape([2, 2, 3, 4]);
    let loss = region_dice_ce(logits.clone(), bits, None);
    let gradient = logits.grad(&loss.backward()).unwrap().into_data();
    let gradient = gradient.into_vec::<f32>().unwrap();
    let found = f64::from(loss.into_scalar());
    assert!((found - REGION_LOSS).abs() < 1e-6, "{found}");
    for (index, expected) in REGION_GRADIENT {
        assert!(
            (gradient[index] - expected).abs() < 1e-7,
            "{index}: {}",
            gradient[index]
        );
    }
}

#[test]
fn golden_schedule() {
    for case in shared::cases("schedule.json") {
        let count = |key: &str| case[key].as_u64().unwrap() as usize;
        let (base, multiplier) = (
            case["base"].as_f64().unwrap(),
            case["multiplier"].as_f64().unwrap(),
        );
        let expected = case["lr"].as_array().unwrap();
        assert_eq!(expected.len(), count("total"));
        for (epoch, expected) in expected.iter().enumerate() {
            let expected = expected.as_f64().unwrap();
            let found = base * warmup_cosine(epoch, count("warmup"), count("total"), multiplier);
            let allowed = (1e-6 * expected.abs()).max(1e-9 * base);
            assert!(
                (found - expected).abs() <= allowed,
                "epoch {epoch}: {found}, not {expected}"
            );
        }
    }
}

fn objective(batch: bool) -> Objective {
    Objective {
        loss: Loss::DiceCe { batch },
        activation: Activation::Softmax,
        class_weights: None,
    }
}

/// Dice of all cases together plus cross entropy of channels-last logits, summed voxel by voxel in `f64`.
fn batch_dice_ce(logits: &[f32], classes: &[i32], count: usize) -> f64 {
    let (mut overlap, mut sizes) = (vec![0.0; count], vec![0.0; count]);
    let mut entropy = 0.0;
    for (logits, &class) in logits.chunks(count).zip(classes) {
        let powers: Vec<f64> = logits.iter().map(|&logit| f64::from(logit).exp()).collect();
        let sum: f64 = powers.iter().sum();
        for (index, power) in powers.iter().enumerate() {
            let (p, truth) = (power / sum, f64::from(u8::from(index as i32 == class)));
            overlap[index] += p * truth;
            sizes[index] += p * p + truth;
        }
        entropy -= (powers[class as usize] / sum).ln();
    }
    let dice = |index: usize| 1.0 - 2.0 * overlap[index] / (sizes[index] + 1e-5);
    (0..count).map(dice).sum::<f64>() / count as f64 + entropy / classes.len() as f64
}

#[test]
fn dice_of_a_batch_is_that_of_all_its_cases_together() {
    let (n, side, count) = (2, 4, 3);
    let wave = |index: usize| (index as f32 * 0.37).sin() * 2.0;
    let fine: Vec<f32> = (0..n * side * side * side * count).map(wave).collect();
    let coarse: Vec<f32> = (0..n * side * side * count).map(wave).collect();
    // Class 2 occurs in the second case alone.
    let class = |case: usize, x: usize, y: usize, z: usize| match (case, x + y + z) {
        (1, 6..) => 2,
        (_, sum) => (sum % 2) as i32,
    };
    let at = |shape: [usize; 3], scale: [usize; 3]| -> Vec<i32> {
        let mut classes = Vec::new();
        for case in 0..n {
            for x in 0..shape[0] {
                for y in 0..shape[1] {
                    for z in 0..shape[2] {
                        let [x, y, z] = [(x, 0), (y, 1), (z, 2)]
                            .map(|(index, axis)| index * scale[axis] + scale[axis] / 2);
                        classes.push(class(case, x, y, z));
                    }
                }
            }
        }
        classes
    };
    let classes = at([side; 3], [1; 3]);
    let expected = batch_dice_ce(&fine, &classes, count)
        + 0.5 * batch_dice_ce(&coarse, &at([2, 2, side], [2, 2, 1]), count);
    let device = Default::default();
    let tensor = |values: &[f32], [x, y, z]: [usize; 3]| {
        let data = TensorData::new(values.to_vec(), [n, x, y, z, count]);
        Tensor::<Flex, 5>::from_data(data, &device)
    };
    let target = TensorData::new(classes, [n, side, side, side]);
    let loss_of = |batch| {
        let outputs = vec![tensor(&fine, [side; 3]), tensor(&coarse, [2, 2, side])];
        let target = Tensor::<Flex, 4, Int>::from_data(target.clone(), &device);
        let found = deep_supervision(outputs, target, &objective(batch));
        f64::from(found.into_scalar())
    };
    assert!((loss_of(true) - expected).abs() < 1e-5, "{}", loss_of(true));
    assert!((loss_of(false) - expected).abs() > 1e-3);
}
