//! Augmentation and losses against MONAI.
//!
//! `tests/reference/training_controls.py` computes the expected values with MONAI.

use burn::backend::Autodiff;
use burn::tensor::{Int, Tensor, TensorData};
use burn_flex::Flex;
use ndarray::{Array3, Array4};
use serde_json::Value;
use vesal_kernels::{dice_ce, dice_focal, weighted_dice_ce};
use vesal_trainer::augment::{
    Contrast, Patch, adjust_contrast, quarter_turns, scale_around_mean, shift_histogram, warp, zoom,
};
use vesal_trainer::loss::weighted_dice_focal;

fn expected() -> Value {
    serde_json::from_str(include_str!("../../training_controls.json")).unwrap()
}

fn numbers(list: &Value) -> Vec<f32> {
    let list = list.as_array().unwrap().iter();
    list.map(|value| value.as_f64().unwrap() as f32).collect()
}

fn wave(count: usize, a: f64, b: f64) -> Vec<f32> {
    let at = |i: usize| ((a * i as f64 + b).sin() + 0.01 * i as f64) as f32;
    (0..count).map(at).collect()
}

fn image() -> Array4<f32> {
    Array4::from_shape_vec((2, 2, 3, 4), wave(48, 0.7, 0.3)).unwrap()
}

fn assert_close(what: &str, found: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        let difference = (found - expected).abs();
        assert!(
            difference <= tolerance,
            "{what}, {index}: {found}, not {expected}"
        );
    }
}

#[test]
fn intensities_change_as_in_monai() {
    for case in expected()["intensity"].as_array().unwrap() {
        let mut image = image();
        match case["change"].as_str().unwrap() {
            "shift_histogram" => shift_histogram(&mut image, &numbers(&case["shares"])),
            "adjust_contrast" => {
                let contrast = Contrast {
                    invert: case["invert"].as_bool().unwrap(),
                    retain_stats: case["retain_stats"].as_bool().unwrap(),
                };
                adjust_contrast(&mut image, case["gamma"].as_f64().unwrap() as f32, contrast);
            }
            "scale_around_mean" => {
                scale_around_mean(&mut image, 1.0 + case["factor"].as_f64().unwrap() as f32);
            }
            other => panic!("{other}"),
        }
        let mut what = case.clone();
        let values = numbers(&what["values"].take());
        assert_close(&what.to_string(), image.as_slice().unwrap(), &values, 2e-6);
    }
}

#[test]
fn quarter_turns_are_those_of_monai() {
    for case in expected()["turns"].as_array().unwrap() {
        let plane = [0, 1].map(|index| case["plane"][index].as_u64().unwrap() as usize);
        let mut patch = Patch {
            image: image(),
            classes: Array3::zeros((2, 3, 4)),
        };
        quarter_turns(&mut patch, plane, case["turns"].as_u64().unwrap() as usize);
        let shape: Vec<usize> = serde_json::from_value(case["shape"].clone()).unwrap();
        assert_eq!(patch.image.shape(), shape);
        assert_eq!(patch.classes.shape(), &shape[1..]);
        let found: Vec<f32> = patch.image.iter().copied().collect();
        assert_close("turn", &found, &numbers(&case["values"]), 1e-6);
    }
}

#[test]
fn rotations_and_zooms_are_those_of_monai() {
    let patch = || Patch {
        image: Array4::from_shape_vec((2, 6, 5, 7), wave(420, 0.7, 0.3)).unwrap(),
        // The class of each voxel is its position.
        classes: Array3::from_shape_vec((6, 5, 7), (0..210).collect()).unwrap(),
    };
    let check = |what: &str, found: &Patch, case: &Value| {
        let image: Vec<f32> = found.image.iter().copied().collect();
        assert_close(what, &image, &numbers(&case["values"]), 2e-6);
        let classes: Vec<f32> = found
            .classes
            .iter()
            .map(|&class| f32::from(class))
            .collect();
        assert_close(what, &classes, &numbers(&case["classes"]), 0.0);
    };
    for case in expected()["rotations"].as_array().unwrap() {
        let angles: [f64; 3] = serde_json::from_value(case["angles"].clone()).unwrap();
        let mut rotated = patch();
        warp(&mut rotated, angles, [1.0; 3]);
        check(&format!("angles {angles:?}"), &rotated, case);
    }
    for case in expected()["zooms"].as_array().unwrap() {
        let factor = case["factor"].as_f64().unwrap();
        let mut zoomed = patch();
        zoom(&mut zoomed, factor);
        check(&format!("factor {factor}"), &zoomed, case);
    }
}

#[test]
fn weighted_focal_losses_are_those_of_monai() {
    type B = Autodiff<Flex>;
    let device = Default::default();
    let classes: Vec<i32> = (0..24).map(|i| (i * i + i / 5) % 3).collect();
    // Both cases as one: their Dice is computed together.
    let classes = Tensor::<B, 4, Int>::from_data(TensorData::new(classes, [1, 4, 3, 2]), &device);
    for case in expected()["weighted_dice_focal"].as_array().unwrap() {
        let logits: Vec<f32> = wave(72, 1.3, -0.4)
            .iter()
            .map(|value| 2.0 * value)
            .collect();
        let logits = Tensor::<B, 5>::from_data(TensorData::new(logits, [2, 3, 2, 3, 2]), &device);
        let logits = logits.require_grad();
        let input = logits
            .clone()
            .permute([0, 2, 3, 4, 1])
            .reshape([1, 4, 3, 2, 3]);
        let weights: Vec<f64> = serde_json::from_value(case["weights"].clone()).unwrap();
        let loss = weighted_dice_focal(input.clone(), classes.clone(), &weights);
        let gradient = logits.grad(&loss.backward()).unwrap().into_data();
        let gradient = gradient.into_vec::<f32>().unwrap();
        let what = format!("weights {weights:?}");
        assert_close(&what, &gradient, &numbers(&case["gradient"]), 1e-6);
        let expected = case["loss"].as_f64().unwrap() as f32;
        let found = loss.into_scalar();
        assert_close(&what, &[found], &[expected], 2e-6);
        if weights == [1.0; 3] {
            let plain = dice_focal(input, classes.clone()).into_scalar();
            assert_close("equal weights", &[found], &[plain], 2e-6);
        }
    }
}

#[test]
fn weighted_losses_are_those_of_monai() {
    type B = Autodiff<Flex>;
    let device = Default::default();
    let classes: Vec<i32> = (0..24).map(|i| (i * i + i / 5) % 3).collect();
    let classes = Tensor::<B, 4, Int>::from_data(TensorData::new(classes, [2, 2, 3, 2]), &device);
    for case in expected()["weighted_dice_ce"].as_array().unwrap() {
        let logits: Vec<f32> = wave(72, 1.3, -0.4)
            .iter()
            .map(|value| 2.0 * value)
            .collect();
        let logits = Tensor::<B, 5>::from_data(TensorData::new(logits, [2, 3, 2, 3, 2]), &device);
        let logits = logits.require_grad();
        let input = logits.clone().permute([0, 2, 3, 4, 1]);
        let weights: Vec<f64> = serde_json::from_value(case["weights"].clone()).unwrap();
        let loss = weighted_dice_ce(input.clone(), classes.clone(), &weights);
        let gradient = logits.grad(&loss.backward()).unwrap().into_data();
        let what = format!("weights {weights:?}");
        let gradient = gradient.into_vec::<f32>().unwrap();
        assert_close(&what, &gradient, &numbers(&case["gradient"]), 1e-6);
        let found = loss.into_scalar();
        let expected = case["loss"].as_f64().unwrap() as f32;
        assert_close(&what, &[found], &[expected], 2e-6);
        if weights == [1.0; 3] {
            let plain = dice_ce(input, classes.clone()).into_scalar();
            assert_close("equal weights", &[found], &[plain], 2e-6);
        }
    }
    // Where only a class of weight 0 occurs, the cross entropy is 0 and not a division by 0.
    let logits = Tensor::<B, 5>::ones([1, 1, 1, 1, 2], &device);
    let absent = Tensor::<B, 4, Int>::zeros([1, 1, 1, 1], &device);
    let loss = weighted_dice_ce(logits, absent, &[0.0, 1.0]).into_scalar();
    assert!((loss - 0.5).abs() < 1e-6, "{loss}");
}
