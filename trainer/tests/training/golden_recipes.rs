//! Losses, schedules and early stopping of all recipes compared with MONAI and Auto3DSeg's training scripts.

use burn::backend::Autodiff;
use burn::tensor::{Int, Tensor, TensorData};
use burn_flex::Flex;
use serde_json::Value;
use vesal_bundle::deploy_plan::Activation;
use vesal_trainer::algorithms::dints::DINTS;
use vesal_trainer::algorithms::segresnet2d::SEGRESNET2D;
use vesal_trainer::algorithms::swinunetr::SWINUNETR;
use vesal_trainer::algorithms::{Algorithm, EarlyStopping};
use vesal_trainer::fit::early_stopping::ends_early;
use vesal_trainer::loss::{Objective, deep_supervision};

use crate::golden_losses::{channels_last, classes, logits, numbers, shape};
use crate::shared;
use crate::work_dir::WorkDir;

type B = Autodiff<Flex>;

const TOLERANCE: f64 = 1e-6;

/// A list of the golden file.
fn list(name: &str) -> Vec<Value> {
    let Some(path) = shared::find("golden/algorithms/recipes.json") else {
        return Vec::new();
    };
    let mut golden: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let Value::Array(cases) = golden[name].take() else {
        panic!("no list `{name}`")
    };
    assert!(!cases.is_empty());
    cases
}

fn algorithm(name: &str) -> &'static Algorithm {
    let all = [&SWINUNETR, &DINTS, &SEGRESNET2D];
    all.into_iter()
        .find(|algorithm| algorithm.name == name)
        .unwrap()
}

/// Regions as bits of `[N, R, X, Y, Z]` masks in the file.
fn regions(array: &Value) -> Tensor<B, 4, Int> {
    let [n, count, x, y, z] = shape(array).try_into().unwrap();
    let (masks, voxels) = (numbers(array), x * y * z);
    let bits: Vec<i32> = (0..n * voxels)
        .map(|index| {
            let (case, voxel) = (index / voxels, index % voxels);
            let mask = |region: usize| masks[(case * count + region) * voxels + voxel] as i32;
            (0..count).map(|region| mask(region) << region).sum()
        })
        .collect();
    Tensor::from_data(TensorData::new(bits, [n, x, y, z]), &Default::default())
}

/// What [`deep_supervision`] of regions computes instead of MONAI's cross entropy, and that cross entropy, in `f64`.
fn entropies(logits: &Value, masks: &Value) -> [f64; 2] {
    let [n, count, x, y, z] = shape(logits).try_into().unwrap();
    let (logits, masks, voxels) = (numbers(logits), numbers(masks), x * y * z);
    let (mut binary, mut softmax) = (0.0, 0.0);
    for case in 0..n {
        for voxel in 0..voxels {
            let at = |region: usize| (case * count + region) * voxels + voxel;
            let logit = |region: usize| f64::from(logits[at(region)]);
            let sum: f64 = (0..count).map(|region| logit(region).exp()).sum();
            for region in 0..count {
                let truth = f64::from(masks[at(region)]);
                binary += (1.0 + logit(region).exp()).ln() - truth * logit(region);
                softmax -= truth * (logit(region) - sum.ln());
            }
        }
    }
    let cells = (n * voxels) as f64;
    [binary / (cells * count as f64), softmax / cells]
}

#[test]
fn losses_are_those_of_monai() {
    for (index, case) in list("losses").iter().enumerate() {
        let kind = case["kind"].as_str().unwrap();
        let (name, activation) = kind.split_once('_').unwrap();
        let is_sigmoid = activation == "sigmoid";
        let objective = Objective {
            loss: algorithm(name).recipe.loss,
            activation: match is_sigmoid {
                true => Activation::Sigmoid,
                false => Activation::Softmax,
            },
            class_weights: None,
        };
        let input = logits(&case["logits"]);
        let target = match is_sigmoid {
            true => regions(&case["target"]),
            false => classes(&case["target"]),
        };
        let outputs = vec![channels_last(input.clone())];
        let loss = deep_supervision(outputs, target, &objective);
        let found = f64::from(loss.clone().into_scalar());
        let mut expected = case["loss"].as_f64().unwrap();
        let has_other_entropy = is_sigmoid && name != "dints";
        if has_other_entropy {
            let [binary, softmax] = entropies(&case["logits"], &case["target"]);
            expected += binary - softmax;
        }
        assert!(
            (found - expected).abs() <= TOLERANCE * expected.abs().max(1.0),
            "{index}, {kind}: {found}, not {expected}"
        );
        if has_other_entropy {
            continue;
        }
        let gradient = input.grad(&loss.backward()).unwrap().into_data();
        let gradient = gradient.into_vec::<f32>().unwrap();
        let expected = numbers(&case["gradient"]);
        assert_eq!(gradient.len(), expected.len());
        for (voxel, (found, expected)) in gradient.iter().zip(expected).enumerate() {
            let difference = f64::from((found - expected).abs());
            assert!(
                difference <= TOLERANCE,
                "{index}, {kind}, gradient {voxel}: {found}, not {expected}"
            );
        }
    }
}

/// A loss of `f16` logits is computed in `f32`.
#[test]
fn half_precision_logits_lose_nothing_more() {
    let device = Default::default();
    let values: Vec<f32> = (0..48).map(|i| 3.0 * (0.7 * i as f32).sin()).collect();
    let half: Vec<burn::tensor::f16> = values
        .iter()
        .map(|&v| burn::tensor::f16::from_f32(v))
        .collect();
    let single: Vec<f32> = half.iter().map(|value| value.to_f32()).collect();
    let target = TensorData::new((0..16).map(|i| i % 3).collect::<Vec<i32>>(), [1, 4, 2, 2]);
    for activation in [Activation::Softmax, Activation::Sigmoid] {
        let objective = Objective {
            loss: DINTS.recipe.loss,
            activation,
            class_weights: None,
        };
        let loss = |logits: TensorData| {
            let logits = Tensor::<Flex, 5>::from_data(logits, &device);
            let target = Tensor::<Flex, 4, Int>::from_data(target.clone(), &device);
            deep_supervision(vec![logits], target, &objective)
        };
        let shape = [1, 4, 2, 2, 3];
        let found = loss(TensorData::new(half.clone(), shape));
        assert_eq!(found.dtype(), burn::tensor::DType::F32);
        let expected = loss(TensorData::new(single.clone(), shape)).into_scalar();
        assert_eq!(found.into_scalar(), expected, "{activation:?}");
    }
}

#[test]
fn learning_rates_are_those_of_rounds() {
    let mut plan = WorkDir::new(1, 8, 8).plan;
    plan.num_epochs_per_validation = None;
    for case in list("schedules") {
        let count = |key: &str| case[key].as_u64().unwrap() as usize;
        let name = case["algorithm"].as_str().unwrap();
        let epochs = count("epochs");
        let (peak, of_round, warmup) = match name {
            "swinunetr" => (4e-4, 5, epochs / 100 * 5),
            _ => (0.2, 2, 0),
        };
        (plan.num_epochs, plan.epochs_per_round) = (epochs, of_round);
        plan.num_warmup_epochs = warmup;
        assert_eq!(plan.rounds(), count("rounds"));
        let recipe = algorithm(name).recipe;
        let rates = case["lr"].as_array().unwrap();
        assert_eq!(rates.len(), plan.rounds());
        for epoch in 0..plan.trained_epochs() {
            let expected = rates[epoch / of_round].as_f64().unwrap();
            let found = peak * (recipe.learning_rate_factor)(epoch, &plan);
            assert!(
                (found - expected).abs() <= TOLERANCE * expected.abs(),
                "{name}, {epochs} epochs, epoch {epoch}: {found}, not {expected}"
            );
        }
        let validations = (recipe.validations)(&plan);
        assert_eq!(validations.last(), Some(&plan.trained_epochs()));
        assert!(validations.iter().all(|epoch| epoch % of_round == 0));
        let every_round = validations.len() == plan.rounds();
        assert_eq!(
            every_round,
            name == "swinunetr" || plan.rounds() < 10,
            "{epochs}"
        );
    }
}

#[test]
fn an_interval_between_validations_is_rounded_up_to_rounds() {
    let mut plan = WorkDir::new(1, 8, 8).plan;
    (plan.num_epochs, plan.epochs_per_round) = (43, 5);
    plan.num_epochs_per_validation = Some(11);
    assert_eq!((SWINUNETR.recipe.validations)(&plan), [15, 30, 40]);
    plan.num_warmup_epochs = 10;
    let rate = |epoch| (SWINUNETR.recipe.learning_rate_factor)(epoch, &plan);
    assert_eq!([rate(0), rate(4), rate(5), rate(10)], [0.1, 0.1, 0.55, 1.0]);
}

#[test]
fn trainings_end_after_as_many_validations_below_the_best() {
    let mut plan = WorkDir::new(1, 8, 8).plan;
    plan.early_stopping_fraction = 0.001;
    for case in list("early_stopping") {
        let patience = case["patience"].as_u64().unwrap() as usize;
        let rules = [SWINUNETR.recipe, DINTS.recipe].map(|recipe| recipe.early_stopping);
        let rule = EarlyStopping::Patience(patience);
        assert!(rules.contains(&rule));
        let scores = case["accuracy"].as_array().unwrap();
        let scores = scores.iter().map(|score| score.as_f64().unwrap());
        let history: Vec<(usize, f64)> = (1..).zip(scores).collect();
        let mut ends =
            (0..history.len()).filter(|&last| ends_early(&history[..=last], rule, &plan));
        let expected = case["stopped_after_validation"].as_u64();
        assert_eq!(ends.next(), expected.map(|index| index as usize));
    }
    // An equal score starts the count again, and 0 turns the rule off.
    let rule = EarlyStopping::Patience(2);
    let mut history = vec![(2, 0.5), (4, 0.4), (6, 0.5), (8, 0.4)];
    assert!(!ends_early(&history, rule, &plan));
    history.push((10, 0.3));
    assert!(ends_early(&history, rule, &plan));
    plan.early_stopping_fraction = 0.0;
    assert!(!ends_early(&history, rule, &plan));
}
