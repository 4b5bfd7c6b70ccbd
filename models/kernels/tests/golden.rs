//! The Dice and focal loss compared with MONAI.

use std::path::PathBuf;

use burn::backend::Autodiff;
use burn::tensor::{Int, Tensor, TensorData};
use burn_flex::Flex;
use serde_json::Value;
use vesal_kernels::dice_focal;

const TOLERANCE: f32 = 1e-6;

/// A golden file of `$VESAL_SHARED`, by default `shared` beside the checkout.
///
/// Where it is absent, tests that need it say so and pass, except in continuous integration (`CI=true`).
fn golden(name: &str) -> Option<Value> {
    let shared = match std::env::var_os("VESAL_SHARED") {
        Some(shared) => PathBuf::from(shared),
        None => PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")),
    };
    let path = shared.join("golden").join(name);
    if !path.exists() {
        let required = std::env::var("CI").is_ok_and(|ci| ci == "true");
        assert!(!required, "`{}` is absent", path.display());
        println!("skipped: no `{}`", path.display());
        return None;
    }
    Some(serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
}

fn numbers(array: &Value) -> Vec<f64> {
    let values = array.as_array().unwrap().iter();
    values.map(|value| value.as_f64().unwrap()).collect()
}

fn shape(array: &Value) -> [usize; 5] {
    let sizes: Vec<usize> = numbers(&array["shape"])
        .iter()
        .map(|size| *size as usize)
        .collect();
    sizes.try_into().unwrap()
}

fn floats(array: &Value) -> Vec<f32> {
    numbers(&array["data"])
        .iter()
        .map(|value| *value as f32)
        .collect()
}

/// The cases of a batch count as one there, so they are joined.
#[test]
fn golden_dice_focal() {
    let Some(file) = golden("algorithms/recipes.json") else {
        return;
    };
    let mut compared = 0;
    for case in file["losses"].as_array().unwrap() {
        if case["kind"] != "dints_softmax" {
            continue;
        }
        let dims @ [n, k, x, y, z] = shape(&case["logits"]);
        let device = Default::default();
        let data = TensorData::new(floats(&case["logits"]), dims);
        let logits = Tensor::<Autodiff<Flex>, 5>::from_data(data, &device).require_grad();
        let joined = logits
            .clone()
            .permute([0, 2, 3, 4, 1])
            .reshape([1, n * x, y, z, k]);
        let classes: Vec<i32> = floats(&case["target"])
            .iter()
            .map(|class| *class as i32)
            .collect();
        let data = TensorData::new(classes, [1, n * x, y, z]);
        let classes = Tensor::<Autodiff<Flex>, 4, Int>::from_data(data, &device);
        let loss = dice_focal(joined, classes);
        let expected = case["loss"].as_f64().unwrap() as f32;
        let found = loss.clone().into_scalar();
        assert!(
            (found - expected).abs() <= TOLERANCE,
            "{found} instead of {expected}"
        );
        let gradient = logits.grad(&loss.backward()).unwrap().into_data();
        let expected = floats(&case["gradient"]);
        assert_eq!(gradient.num_elements(), expected.len());
        for (found, expected) in gradient.iter::<f32>().zip(expected) {
            assert!(
                (found - expected).abs() <= TOLERANCE,
                "{found} instead of {expected}"
            );
        }
        compared += 1;
    }
    assert!(compared > 0);
}
