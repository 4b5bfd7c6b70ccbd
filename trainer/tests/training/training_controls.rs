//! Augmentation, losses, limits and averages, compared with MONAI and in trainings.
//!
//! `tests/reference/training_controls.py` computes the expected values with MONAI.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::work_dir::WorkDir;
use burn::backend::Autodiff;
use burn::tensor::{Int, Tensor, TensorData};
use burn_flex::Flex;
use ndarray::{Array3, Array4};
use serde_json::Value;
use vesal_kernels::{dice_ce, weighted_dice_ce};
use vesal_trainer::algorithms;
use vesal_trainer::augment::{
    Contrast, Patch, adjust_contrast, quarter_turns, scale_around_mean, shift_histogram,
};
use vesal_trainer::fit::early_stopping::{ends_early, has_diverged};
use vesal_trainer::fit::{
    self, EVENTS_PREFIX, FitError, FitObserver, FitOutcome, FitRequest, Start, StepReport,
};
use vesal_trainer::rng::Rng;
use vesal_trainer::settings::AugmentMode;
use vesal_trainer::train_plan::TrainPlan;

fn expected() -> Value {
    serde_json::from_str(include_str!("../training_controls.json")).unwrap()
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

/// The patch after `augment` with this seed.
fn augmented(plan: &TrainPlan, seed: u64) -> Patch {
    let mut patch = Patch {
        image: Array4::from_shape_fn((2, 5, 5, 3), |(c, x, y, z)| {
            (c * 1000 + x * 100 + y * 10 + z) as f32
        }),
        classes: Array3::from_shape_fn((5, 5, 3), |(x, y, z)| (x * 100 + y * 10 + z) as u16),
    };
    (algorithms::DEFAULT.recipe.augment)(&mut patch, plan, &mut Rng::new(&[seed]));
    patch
}

#[test]
fn every_set_of_changes_keeps_shape_and_follows_its_random_numbers() {
    let mut plan = WorkDir::new(1, 8, 8).plan;
    plan.augment_rots = vec![[0, 1]];
    for mode in [AugmentMode::Default, AugmentMode::CtAx1, AugmentMode::Mri1] {
        plan.augment_mode = mode;
        let mut distinct = 0;
        for seed in 0..50 {
            let patch = augmented(&plan, seed);
            let shapes = (patch.image.dim(), patch.classes.dim());
            assert_eq!(shapes, ((2, 5, 5, 3), (5, 5, 3)));
            assert_eq!(patch, augmented(&plan, seed));
            assert!(
                patch.image.iter().all(|value| value.is_finite()),
                "{mode:?}"
            );
            distinct += usize::from(patch != augmented(&plan, seed + 1));
        }
        assert!(distinct > 40, "{mode:?}: {distinct}");
    }
}

#[test]
fn axes_that_are_not_mirrored_stay() {
    let mut plan = WorkDir::new(1, 8, 8).plan;
    plan.augment_mode = AugmentMode::None;
    plan.augment_flips = vec![1, 2];
    let mut moved = [false; 3];
    for seed in 0..30 {
        // The class of each voxel is its position.
        let classes = augmented(&plan, seed).classes;
        let first = classes[[0, 0, 0]];
        let position = [first / 100, first / 10 % 10, first % 10];
        for axis in 0..3 {
            moved[axis] |= position[axis] != 0;
        }
    }
    assert_eq!(moved, [false, true, true]);
    plan.augment_flips.clear();
    assert!((0..30).all(|seed| augmented(&plan, seed) == augmented(&plan, 0)));
}

/// Stops after this many steps, and records the reported events.
#[derive(Default)]
struct Watcher {
    stop: Option<(Arc<AtomicBool>, usize)>,
    steps: usize,
    kept_cases: usize,
}

impl FitObserver for Watcher {
    fn started(&mut self, start: &Start) {
        self.kept_cases = start.kept_cases;
    }

    fn step(&mut self, _report: &StepReport) {
        self.steps += 1;
        if let Some((stop, after)) = &self.stop
            && *after == self.steps
        {
            stop.store(true, Ordering::Relaxed);
        }
    }
}

/// Trains to the end and returns the observer.
fn train(request: &FitRequest) -> Watcher {
    let mut watcher = Watcher::default();
    let outcome = fit::run(request, &mut watcher).unwrap();
    assert!(matches!(outcome, FitOutcome::Finished { .. }));
    watcher
}

/// Trains with a stop after this many steps, then to the end.
fn train_in_parts(request: &FitRequest, steps: usize) {
    let mut watcher = Watcher {
        stop: Some((request.stop.clone(), steps)),
        ..Watcher::default()
    };
    let outcome = fit::run(request, &mut watcher).unwrap();
    assert!(matches!(outcome, FitOutcome::Stopped { .. }), "{outcome:?}");
    request.stop.store(false, Ordering::Relaxed);
    train(request);
}

fn assert_same(work: &WorkDir, a: &str, b: &str) {
    for file in ["weights.safetensors", "checkpoint.safetensors"] {
        let [a, b] = [a, b].map(|run| std::fs::read(work.path(&format!("{run}/{file}"))).unwrap());
        assert!(a == b, "{file} differs");
    }
}

#[test]
fn what_memory_holds_changes_nothing_but_the_time() {
    let mut work = WorkDir::new(6, 12, 8);
    work.plan.num_steps_per_image = 2;
    work.plan.num_images_per_batch = 2;
    work.write_plan();
    let all = train(&work.request("all"));
    assert_eq!(all.kept_cases, 6);
    // A case takes about 12³ · 6 bytes, and its voxels 8 bytes each.
    for (run, budget, kept) in [("none", 0, 0), ("some", 60_000, 2), ("parts", 60_000, 2)] {
        let request = FitRequest {
            max_ram_bytes: Some(budget),
            ..work.request(run)
        };
        if run == "parts" {
            train_in_parts(&request, 3);
        } else {
            assert_eq!(train(&request).kept_cases, kept, "{run}");
        }
        assert_same(&work, "all", run);
    }
}

#[test]
fn a_case_that_vanishes_while_it_is_not_in_memory_is_named() {
    let work = WorkDir::new(4, 8, 8);
    let request = FitRequest {
        max_ram_bytes: Some(0),
        ..work.request("run")
    };
    std::fs::remove_file(work.path("image_1.nii.gz")).unwrap();
    let error = fit::run(&request, &mut ()).unwrap_err();
    assert_eq!(error.to_string(), "cannot read case `case_1`");
}

#[test]
fn every_control_resumes_bit_for_bit() {
    let mut work = WorkDir::new(4, 10, 8);
    work.plan.augment_mode = AugmentMode::Mri1;
    work.plan.augment_rots = vec![[0, 2]];
    work.plan.class_weights = Some(vec![0.5, 1.0, 2.0]);
    work.plan.clip_grad_norm = Some(0.1);
    work.plan.ema_decay = Some(0.9);
    work.write_plan();
    train(&work.request("whole"));
    train_in_parts(&work.request("parts"), 3);
    assert_same(&work, "whole", "parts");
    // Each control makes a difference.
    for (run, change) in [
        (
            "augment",
            &(|plan: &mut TrainPlan| plan.augment_rots.clear()) as &dyn Fn(&mut TrainPlan),
        ),
        ("weights", &|plan| plan.class_weights = None),
        ("clip", &|plan| plan.clip_grad_norm = None),
        ("average", &|plan| plan.ema_decay = None),
    ] {
        let plan = work.plan.clone();
        change(&mut work.plan);
        work.write_plan();
        train(&work.request(run));
        let weights =
            |run: &str| std::fs::read(work.path(&format!("{run}/weights.safetensors"))).unwrap();
        assert!(weights("whole") != weights(run), "{run}");
        work.plan = plan;
    }
}

#[test]
fn scores_that_stay_end_a_training_only_late_and_only_if_asked() {
    let mut plan = WorkDir::new(1, 8, 8).plan;
    plan.num_epochs = 100;
    plan.num_crops_per_image = 1;
    plan.early_stopping_fraction = 0.001;
    let history = |last: usize| -> Vec<_> { (1..=last).map(|epoch| (epoch, 0.8)).collect() };
    assert!(!ends_early(&history(51), &plan));
    assert!(ends_early(&history(52), &plan));
    // Ten validations decide if the last tenth of the epochs has fewer.
    let mut sparse: Vec<_> = (1..=11).map(|k| (8 * k, 0.8)).collect();
    assert!(ends_early(&sparse, &plan));
    sparse[1].1 = 0.801;
    assert!(!ends_early(&sparse, &plan));
    sparse[1].1 = 0.8005;
    assert!(ends_early(&sparse, &plan));
    sparse[0].1 = 0.1;
    assert!(ends_early(&sparse, &plan));
    assert!(!ends_early(&sparse[1..], &plan));
    let zero: Vec<_> = (1..=60).map(|epoch| (epoch, 0.0)).collect();
    assert!(!ends_early(&zero, &plan));
    plan.early_stopping_fraction = 0.0;
    assert!(!ends_early(&history(100), &plan));

    plan.stop_on_lowacc = true;
    assert!(!has_diverged(26, 0.0, &plan) && has_diverged(27, 0.009, &plan));
    assert!(!has_diverged(27, 0.01, &plan));
    plan.num_epochs = 40;
    assert!(!has_diverged(21, 0.0, &plan) && has_diverged(22, 0.0, &plan));
    plan.stop_on_lowacc = false;
    assert!(!has_diverged(40, 0.0, &plan));
}

/// A training that learns nothing, because its learning rate is almost 0.
fn idle(epochs: usize) -> WorkDir {
    let mut work = WorkDir::new(2, 8, 8);
    work.plan.num_epochs = epochs;
    work.plan.num_crops_per_image = 1;
    work.plan.learning_rate = 1e-30;
    work.plan.weight_decay = 0.0;
    work.write_plan();
    work
}

#[test]
fn a_training_ends_early_and_stays_finished() {
    let mut work = idle(24);
    work.plan.early_stopping_fraction = 0.5;
    work.write_plan();
    let request = work.request("run");
    let watcher = train(&request);
    let status = fit::status(&request.run_dir, None).unwrap();
    let score = status.best_dice.unwrap();
    assert!(
        score > 0.0,
        "the test needs a start that hits something: {score}"
    );
    // Half of the epochs, counted from 0, are over after epoch 14.
    assert_eq!(
        (watcher.steps, status.epoch, status.num_epochs),
        (14, 14, 24)
    );
    assert!(status.finished);
    assert_eq!(work.read("run/validation.csv").lines().count(), 15);
    assert_eq!(train(&request).steps, 0);

    // The process was killed before the run record was written.
    std::fs::remove_file(work.path("run/run.json")).unwrap();
    assert_eq!(train(&request).steps, 0);
    // Settings that only end a training may change.
    std::fs::remove_file(work.path("run/run.json")).unwrap();
    work.plan.early_stopping_fraction = 0.0;
    work.write_plan();
    assert_eq!(train(&request).steps, 10);
}

#[test]
fn a_dice_near_0_stops_a_training_that_can_go_on_all_the_same() {
    let mut work = idle(23);
    work.plan.stop_on_lowacc = true;
    // Labels that no prediction contains: every validation scores 0.
    work.plan.num_epochs_per_validation = Some(1);
    work.write_plan();
    work.hide_labels_of_fold(0);
    let request = work.request("run");
    let error = fit::run(&request, &mut ()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the mean Dice is 0.0000 after 22 of 23 epochs, expected at least 0.01; learning rate 1e-30"
    );
    assert!(
        error
            .hint()
            .is_some_and(|hint| hint.contains("stop_on_lowacc=false"))
    );
    let again = fit::run(&request, &mut ()).unwrap_err();
    assert!(
        matches!(again, FitError::LowScore { epoch: 23, .. }),
        "{again}"
    );
    work.plan.stop_on_lowacc = false;
    work.write_plan();
    assert_eq!(train(&request).steps, 0);
}

#[test]
fn controls_that_do_not_fit_are_refused() {
    let mut work = WorkDir::new(2, 8, 8);
    work.plan.class_weights = Some(vec![1.0, 2.0]);
    work.write_plan();
    let error = fit::run(&work.request("run"), &mut ()).unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(
        source.starts_with("`class_weights` has 2 weights, expected 3"),
        "{source}"
    );
    assert!(error.hint().is_some());
}

/// Step and tag of every scalar in the event files of a run, decoded independently of the trainer.
fn scalars(run_dir: &Path) -> Vec<(u64, String, f32)> {
    let mut files: Vec<_> = std::fs::read_dir(run_dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .starts_with(EVENTS_PREFIX)
        })
        .collect();
    files.sort();
    let mut scalars = Vec::new();
    for bytes in files.into_iter().map(|path| std::fs::read(path).unwrap()) {
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
            let event = fields(&rest[12..12 + length]);
            rest = &rest[16 + length..];
            let number = |wanted: u64| match event.iter().find(|(field, _)| *field == wanted) {
                Some((_, Field::Number(number))) => *number,
                _ => 0,
            };
            for (field, value) in &event {
                let (5, Field::Bytes(summary)) = (field, value) else {
                    continue;
                };
                for (_, value) in fields(summary) {
                    let Field::Bytes(value) = value else {
                        panic!("a value is a message")
                    };
                    match fields(value).as_slice() {
                        [(1, Field::Bytes(tag)), (2, Field::Float(scalar))] => {
                            let tag = String::from_utf8(tag.to_vec()).unwrap();
                            scalars.push((number(2), tag, *scalar));
                        }
                        other => panic!("{other:?}"),
                    }
                }
            }
        }
    }
    scalars
}

#[derive(Debug)]
enum Field<'a> {
    Number(u64),
    Float(f32),
    Bytes(&'a [u8]),
}

/// Fields of a protobuf message.
fn fields(mut bytes: &[u8]) -> Vec<(u64, Field<'_>)> {
    fn varint(bytes: &mut &[u8]) -> u64 {
        let (mut value, mut shift) = (0, 0);
        loop {
            let (&byte, rest) = bytes.split_first().unwrap();
            *bytes = rest;
            value |= u64::from(byte & 127) << shift;
            shift += 7;
            if byte < 128 {
                return value;
            }
        }
    }
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let (value, length) = match key & 7 {
            0 => (Field::Number(varint(&mut bytes)), 0),
            1 => (Field::Number(0), 8),
            2 => {
                let length = varint(&mut bytes) as usize;
                (Field::Bytes(&bytes[..length]), length)
            }
            5 => (
                Field::Float(f32::from_le_bytes(bytes[..4].try_into().unwrap())),
                4,
            ),
            kind => panic!("kind {kind}"),
        };
        bytes = &bytes[length..];
        fields.push((key >> 3, value));
    }
    fields
}

#[test]
fn event_files_tell_what_the_tables_tell_also_after_a_break() {
    let work = WorkDir::new(6, 12, 8);
    let request = work.request("run");
    train_in_parts(&request, 4);
    let scalars = scalars(&request.run_dir);
    let of = |tag: &str| -> Vec<(u64, f32)> {
        let own = scalars.iter().filter(|(_, own, _)| own == tag);
        own.map(|(step, _, value)| (*step, *value)).collect()
    };
    let column = |table: &str, column: usize| -> Vec<f32> {
        let table = work.read(&format!("run/{table}"));
        let rows = table.lines().skip(1);
        rows.map(|row| row.split(',').nth(column).unwrap().parse().unwrap())
            .collect()
    };
    let steps = |every: u64| (1..).map(move |k| k * every);
    let expected = |every, values: Vec<f32>| steps(every).zip(values).collect::<Vec<_>>();
    assert_eq!(of("train/loss"), expected(1, column("metrics.csv", 2)));
    assert_eq!(
        of("train/learning_rate"),
        expected(1, column("metrics.csv", 3))
    );
    assert_eq!(of("train/seconds_per_step").len(), 9);
    for (tag, index) in [
        ("val/acc", 1),
        ("val_class/bright", 2),
        ("val_class/brighter", 3),
    ] {
        let (found, rows) = (of(tag), expected(3, column("validation.csv", index)));
        assert_eq!(found.len(), 3);
        for ((step, value), (row, dice)) in found.into_iter().zip(rows) {
            assert!(
                step == row && (value - dice).abs() < 1e-6,
                "{tag}: {value} at {step}"
            );
        }
    }
}
