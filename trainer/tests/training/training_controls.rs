//! Augmentation, losses, limits and averages, and what ends a training: by themselves, and as parts of a training.

mod against_monai;
mod augmentation;
mod event_files;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use vesal_trainer::algorithms::EarlyStopping;
use vesal_trainer::fit::early_stopping::{ends_early, has_diverged};
use vesal_trainer::fit::{self, FitError, FitObserver, FitOutcome, FitRequest, Start, StepReport};
use vesal_trainer::settings::AugmentMode;
use vesal_trainer::train_plan::TrainPlan;

use crate::work_dir::WorkDir;

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
    const PLATEAU: EarlyStopping = EarlyStopping::Plateau;
    let mut plan = WorkDir::new(1, 8, 8).plan;
    plan.num_epochs = 100;
    plan.num_crops_per_image = 1;
    plan.early_stopping_fraction = 0.001;
    let history = |last: usize| -> Vec<_> { (1..=last).map(|epoch| (epoch, 0.8)).collect() };
    assert!(!ends_early(&history(51), PLATEAU, &plan));
    assert!(ends_early(&history(52), PLATEAU, &plan));
    // Ten validations decide if the last tenth of the epochs has fewer.
    let mut sparse: Vec<_> = (1..=11).map(|k| (8 * k, 0.8)).collect();
    assert!(ends_early(&sparse, PLATEAU, &plan));
    sparse[1].1 = 0.801;
    assert!(!ends_early(&sparse, PLATEAU, &plan));
    sparse[1].1 = 0.8005;
    assert!(ends_early(&sparse, PLATEAU, &plan));
    sparse[0].1 = 0.1;
    assert!(ends_early(&sparse, PLATEAU, &plan));
    assert!(!ends_early(&sparse[1..], PLATEAU, &plan));
    let zero: Vec<_> = (1..=60).map(|epoch| (epoch, 0.0)).collect();
    assert!(!ends_early(&zero, PLATEAU, &plan));
    plan.early_stopping_fraction = 0.0;
    assert!(!ends_early(&history(100), PLATEAU, &plan));

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
